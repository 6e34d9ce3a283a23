#include "apps/fleet_file.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <variant>
#include <vector>

#include "apps/fleet_flags.h"
#include "base/nearest_name.h"
#include "base/parameters.h"
#include "base/whole_file.h"
#include "supervise/fleet_plan.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr char kRoleLabel[] = "llm-d.ai/role";
constexpr size_t kNameBytesMost = 63;  // of a host's name, as programs show them
constexpr double kTimeScaleLeast = 1e-3, kTimeScaleMost = 1e6;

// Words of references about the process itself, and a name of ours.
constexpr std::string_view kTakenNames[] = {"name", "number",  "host",   "port",   "address",
                                            "url",  "log-dir", "folder", "gateway"};

std::string name_problem(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (name.empty() || name.size() > kNameBytesMost || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), fits)) {
    return "a name has lower-case letters, digits and '-', 63 at most";
  }
  if (std::find(std::begin(kTakenNames), std::end(kTakenNames), name) != std::end(kTakenNames)) {
    return "this name is taken: it means something else in references";
  }
  return "";
}

class FleetReader {
 public:
  FleetReader(std::string_view name, const std::string& folder) : name_(name) {
    file_.fleet.folder = folder;
  }

  Result<FleetFile> read(const Value& document) {
    Parameters top(document, "the fleet", "key");
    file_.time_scale = top.number("time-scale", 1, kTimeScaleLeast, kTimeScaleMost);
    file_.engine_profile = beside_if_there(top.text("engine-profile", ""));
    file_.kv_events = top.boolean("kv-events", true);
    read_groups(top, "workers", FleetProgram::kWorker);
    read_groups(top, "sidecars", FleetProgram::kSidecar);
    read_groups(top, "pd-proxies", FleetProgram::kPdProxy);
    static const Value kNothing;
    const Value* gateway = top.any("gateway");
    read_gateway(gateway != nullptr ? *gateway : kNothing);
    if (!top.has("workers")) top.fail("workers", "is missing: a fleet needs at least one worker");
    take_problems(top);
    check_process_names(document);
    if (problems_.empty()) check_texts();
    if (!problems_.empty()) return Error{to_lines()};
    return std::move(file_);
  }
  Error error(const Remark& remark) {
    problems_.push_back(remark);
    return Error{to_lines()};
  }

 private:
  // A flag's or variable's text, whose references can be checked when all groups are known.
  struct Text {
    size_t group = 0;  // groups.size(): the gateway
    std::string text;
    int line = 0;
  };

  void problem(int line, std::string text) { problems_.push_back({line, std::move(text)}); }
  void take_problems(const Parameters& parameters) { append(problems_, parameters.problems()); }

  std::string to_lines() {
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const Remark& one, const Remark& other) { return one.line < other.line; });
    std::string lines;
    for (const Remark& remark : problems_) {
      lines.append(lines.empty() ? "" : "\n").append(name_);
      if (remark.line > 0) lines.append(":").append(std::to_string(remark.line));
      lines.append(": ").append(remark.text);
    }
    return lines;
  }

  std::string beside(const std::string& path) const {
    return path.empty() ? path : (fs::path(file_.fleet.folder) / path).string();
  }
  // A name that is none of a file stays as it is.
  std::string beside_if_there(const std::string& name) const {
    std::error_code error;
    return fs::is_regular_file(beside(name), error) ? beside(name) : name;
  }

  void read_groups(Parameters& top, const char* kind, FleetProgram program) {
    const Value* groups = top.any(kind);
    if (groups == nullptr) return;
    if (groups->map() == nullptr || groups->map()->empty()) {
      return top.fail(kind, "must be a map, from the name of each group to what it is");
    }
    for (const auto& [name, value] : *groups->map()) read_group(kind, name, value, program);
  }

  void read_group(const std::string& kind, const std::string& name, const Value& value,
                  FleetProgram program) {
    FleetGroup group;
    group.name = name;
    group.program = program;
    if (const std::string wrong = name_problem(name); !wrong.empty()) {
      problem(value.line(), kind + ": '" + name + "': " + wrong);
    }
    Parameters keys(value, kind + "." + name, "key");
    if (program == FleetProgram::kWorker) read_worker(keys, group);
    if (program == FleetProgram::kSidecar) read_sidecar(keys, group);
    if (program == FleetProgram::kPdProxy) group.about = "prefill/decode proxy";
    read_labels(keys, group);
    read_command(keys, group, file_.fleet.groups.size());
    take_problems(keys);
    file_.fleet.groups.push_back(std::move(group));
  }

  static void read_worker(Parameters& keys, FleetGroup& group) {
    group.count = static_cast<uint32_t>(keys.integer("count", 1, 1, kFleetProcessesMost));
    group.about = "worker";
    const std::string role = keys.choice("role", "both", {"prefill", "decode", "both"});
    if (!keys.has("role")) return;
    group.labels[kRoleLabel] = role;
    if (role != "both") group.about = role + " worker";
  }

  // As many as the workers beside which they stand.
  void read_sidecar(Parameters& keys, FleetGroup& group) {
    group.beside = keys.text("beside", "");
    group.about = "sidecar of " + group.beside;
    const FleetGroup* workers = find_group(group.beside);
    if (workers == nullptr) {
      return keys.fail("beside", "must name the group of workers that it stands beside" +
                                     did_you_mean(group.beside, group_names()));
    }
    group.count = workers->count;
    group.labels = workers->labels;
  }

  void read_gateway(const Value& value) {
    FleetGroup& gateway = file_.fleet.gateway;
    gateway.name = gateway.about = "gateway";
    gateway.program = FleetProgram::kGateway;
    Parameters keys(value, "gateway", "key");
    file_.port = static_cast<uint16_t>(keys.integer("port", file_.port, 0, 65535));
    read_configuration(keys, gateway);
    read_endpoints(keys);
    read_command(keys, gateway, file_.fleet.groups.size());
    take_problems(keys);
  }

  void read_configuration(Parameters& keys, FleetGroup& gateway) const {
    const std::string path = beside(keys.text("config", ""));
    if (path.empty()) return;
    std::error_code error;
    if (!fs::is_regular_file(path, error)) keys.fail("config", "names no file: " + path);
    gateway.arguments.push_back("--config=" + path);
  }

  void read_endpoints(Parameters& keys) {
    std::vector<std::string>& endpoints = file_.fleet.endpoints;
    endpoints = keys.texts("endpoints");
    for (const std::string& name : endpoints) {
      if (find_group(name) != nullptr) continue;
      keys.fail("endpoints",
                "names '" + name + "', which is no group" + did_you_mean(name, group_names()));
    }
    if (!endpoints.empty()) return;
    for (const FleetGroup& group : file_.fleet.groups) {
      if (group.program == FleetProgram::kWorker) endpoints.push_back(group.name);
    }
  }

  void read_command(Parameters& keys, FleetGroup& group, size_t index) {
    if (const Value* flags = keys.any("flags")) {
      for (FleetFlag& flag : read_fleet_flags(*flags, group.program)) {
        if (!flag.problem.empty()) {
          problem(flag.line, (group.program == FleetProgram::kGateway ? "" : group.name + ".") +
                                 "flags: " + flag.problem);
          continue;
        }
        texts_.push_back({index, flag.word, flag.line});
        group.arguments.push_back(std::move(flag.word));
      }
    }
    const Value* variables = keys.any("variables");
    if (variables == nullptr) return;
    if (variables->map() == nullptr) return keys.fail("variables", "must be a map");
    for (const auto& [name, value] : *variables->map()) {
      const std::optional<std::string> text = scalar_text(value);
      if (!text || name.find('=') != std::string::npos) {
        problem(value.line(), "variables: " + name + " must be a text or a number");
        continue;
      }
      texts_.push_back({index, *text, value.line()});
      group.variables.emplace_back(name, *text);
    }
  }

  void read_labels(Parameters& keys, FleetGroup& group) {
    const Value* labels = keys.any("labels");
    if (labels == nullptr) return;
    if (labels->map() == nullptr) return keys.fail("labels", "must be a map");
    for (const auto& [key, value] : *labels->map()) {
      const std::optional<std::string> text = scalar_text(value);
      if (text && key != kRoleLabel) {
        group.labels[key] = *text;
      } else {
        problem(value.line(),
                "labels: " + key + (text ? " is what 'role' says" : " must be a text"));
      }
    }
  }

  const FleetGroup* find_group(std::string_view name) const {
    for (const FleetGroup& group : file_.fleet.groups) {
      if (group.name == name) return &group;
    }
    return nullptr;
  }
  std::vector<std::string_view> group_names() const {
    std::vector<std::string_view> names;
    for (const FleetGroup& group : file_.fleet.groups) names.push_back(group.name);
    return names;
  }

  void check_process_names(const Value& document) {
    std::set<std::string> names;
    size_t processes = 0;
    for (const FleetGroup& group : file_.fleet.groups) {
      processes += group.count;
      if (processes > kFleetProcessesMost) break;
      std::vector<std::string> all = process_names(group);
      if (group.count > 1) all.push_back(group.name);
      for (const std::string& name : all) {
        if (!names.insert(name).second)
          problem(document.line(), "two of the fleet are called '" + name + "'");
      }
    }
    if (processes > kFleetProcessesMost) {
      problem(document.line(),
              "a fleet has " + std::to_string(kFleetProcessesMost) + " processes at most");
    }
  }

  void check_texts() {
    const FleetDescription& fleet = file_.fleet;
    for (const Text& text : texts_) {
      const FleetGroup& group =
          text.group < fleet.groups.size() ? fleet.groups[text.group] : fleet.gateway;
      const Result<void> checked = check_references(fleet, group, text.text);
      if (!checked) problem(text.line, group.name + ": " + checked.error().message);
    }
  }

  const std::string name_;
  FleetFile file_;
  std::vector<Text> texts_;
  std::vector<Remark> problems_;
};

}  // namespace

Result<FleetFile> read_fleet_file(std::string_view text, std::string_view name,
                                  const std::string& folder) {
  FleetReader reader(name, folder);
  const std::variant<Value, Remark> parsed = parse_yaml(text);
  if (const auto* remark = std::get_if<Remark>(&parsed)) return reader.error(*remark);
  return reader.read(std::get<Value>(parsed));
}

Result<FleetFile> load_fleet_file(const std::string& path) {
  std::error_code error;
  const fs::path file =
      fs::is_directory(path, error) ? fs::path(path) / "fleet.yaml" : fs::path(path);
  const Result<std::string> text = read_whole_file(file.string(), kFleetFileBytesMost);
  if (!text) return text.error();
  const fs::path folder = fs::absolute(file, error).parent_path();
  return read_fleet_file(*text, file.string(), folder.string());
}

}  // namespace kvasir
