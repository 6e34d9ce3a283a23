#include "supervise/fleet_plan.h"

#include <algorithm>

#include "net/io/socket.h"
#include "supervise/fleet_commands.h"

namespace kvasir {
namespace {

// Its processes without their ports.
void add_places(const FleetGroup& group, std::vector<FleetPlace>& places) {
  const std::vector<std::string> names = process_names(group);
  for (uint32_t i = 0; i < names.size(); ++i) {
    FleetPlace place{names[i], group.name, i, {{"", uint16_t{0}}}};
    for (const std::string& word : further_ports(group)) place.ports.emplace(word, uint16_t{0});
    places.push_back(std::move(place));
  }
}

std::vector<const FleetGroup*> in_start_order(const FleetDescription& fleet) {
  std::vector<const FleetGroup*> groups;
  for (const FleetGroup& group : fleet.groups) groups.push_back(&group);
  std::stable_sort(
      groups.begin(), groups.end(),
      [](const FleetGroup* one, const FleetGroup* other) { return one->program < other->program; });
  groups.push_back(&fleet.gateway);
  return groups;
}

bool is_endpoint(const FleetDescription& fleet, const FleetGroup& group) {
  return std::find(fleet.endpoints.begin(), fleet.endpoints.end(), group.name) !=
         fleet.endpoints.end();
}

bool sends_to_workers_only(const FleetDescription& fleet) {
  return std::none_of(fleet.groups.begin(), fleet.groups.end(), [&](const FleetGroup& group) {
    return is_endpoint(fleet, group) && group.program != FleetProgram::kWorker;
  });
}

Result<std::vector<PortLease>> take_leases(const FleetPlace& place, const std::string& host) {
  std::vector<PortLease> leases;
  for (size_t i = 0; i < place.ports.size(); ++i) {
    Result<PortLease> lease = PortLease::take(host, 0);
    if (!lease) return lease.error();
    leases.push_back(std::move(*lease));
  }
  return leases;
}

// Arguments and variables, once all places are known.
Result<void> complete(const FleetDescription& fleet, const FleetGroup& group,
                      const FleetOptions& options, const FleetPlaces& places,
                      const FleetPlace& self, PlannedProcess& process) {
  process.arguments =
      program_command(group, options, self.ports.at(""), sends_to_workers_only(fleet));
  for (const FleetPlace& place : places.processes) {
    if (group.beside.empty() || place.group != group.beside || place.number != self.number)
      continue;
    process.arguments.push_back("--model-server-port=" + std::to_string(place.ports.at("")));
  }
  for (const std::string& argument : group.arguments) {
    const auto words = expand_references(argument, places, self);
    if (!words) return words.error();
    process.arguments.insert(process.arguments.end(), words->begin(), words->end());
  }
  for (const auto& [name, text] : group.variables) {
    const auto values = expand_references(text, places, self);
    if (!values) return values.error();
    std::string joined;
    for (const std::string& value : *values) joined.append(joined.empty() ? "" : ",").append(value);
    process.variables.push_back(name + "=" + joined);
  }
  return {};
}

std::string in_quotes(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
  return quoted + "\"";
}

}  // namespace

Result<void> check_references(const FleetDescription& fleet, const FleetGroup& group,
                              const std::string& text) {
  FleetPlaces places;
  for (const FleetGroup* each : in_start_order(fleet)) add_places(*each, places.processes);
  for (const FleetPlace& place : places.processes) {
    if (place.group != group.name) continue;
    const auto expanded = expand_references(text, places, place);
    if (!expanded) return expanded.error();
  }
  return {};
}

Result<std::vector<PlannedProcess>> plan_fleet(const FleetDescription& fleet,
                                               const FleetOptions& options, PortLease gateway) {
  FleetPlaces places{options.host, options.log_directory, fleet.folder, {}};
  std::vector<PlannedProcess> processes;
  std::vector<const FleetGroup*> group_of;  // by process
  for (const FleetGroup* group : in_start_order(fleet)) {
    add_places(*group, places.processes);
    group_of.resize(places.processes.size(), group);
  }
  for (FleetPlace& place : places.processes) {
    Result<std::vector<PortLease>> leases = take_leases(place, options.host);
    if (!leases) return leases.error();
    if (&place == &places.processes.back()) leases->front() = std::move(gateway);
    size_t next = 0;
    for (auto& [word, port] : place.ports) port = (*leases)[next++].port();
    const FleetGroup& group = *group_of[processes.size()];
    processes.push_back({place.name, group.about, group.program, std::move(*leases), {}, {}});
  }
  for (size_t i = 0; i < processes.size(); ++i) {
    const Result<void> completed =
        complete(fleet, *group_of[i], options, places, places.processes[i], processes[i]);
    if (!completed) return completed.error();
  }
  return processes;
}

std::string endpoints_path(const FleetOptions& options) {
  return options.log_directory + "/endpoints.yaml";
}

std::string processes_path(const FleetOptions& options) {
  return options.log_directory + "/processes.tsv";
}

std::string processes_text(const FleetOptions& options,
                           const std::vector<PlannedProcess>& processes) {
  std::string text;
  for (const PlannedProcess& process : processes) {
    const HostPort address{options.host, process.leases[0].port()};
    text.append(process.name).append("\thttp://").append(to_string(address));
    text.append("\t").append(process.about).append("\n");
  }
  return text;
}

std::string endpoints_text(const FleetDescription& fleet, const FleetOptions& options,
                           const std::vector<PlannedProcess>& processes) {
  std::string text = "endpoints:\n";
  size_t next = 0;
  for (const FleetGroup* group : in_start_order(fleet)) {
    for (uint32_t i = 0; i < group->count; ++i) {
      const PlannedProcess& process = processes[next++];
      if (!is_endpoint(fleet, *group)) continue;
      text.append("  - name: ").append(in_quotes(process.name));
      text.append("\n    address: ").append(in_quotes(options.host));
      text.append("\n    port: ").append(std::to_string(process.leases[0].port())).append("\n");
      if (!group->labels.empty()) text.append("    labels:\n");
      for (const auto& [key, value] : group->labels) {
        text.append("      ")
            .append(in_quotes(key))
            .append(": ")
            .append(in_quotes(value))
            .append("\n");
      }
    }
  }
  return text;
}

}  // namespace kvasir
