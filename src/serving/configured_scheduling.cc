#include "serving/configured_scheduling.h"

#include "net/socket.h"
#include "plugins/plugin_roster.h"
#include "scheduling/plugin_library.h"
#include "scheduling/policy.h"
#include "scheduling/remote_source.h"
#include "serving/plugin_type_facts.h"
#include "wire/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

// Whoever asks for the policy alone does not scrape.
constexpr Duration kAnyInterval = kRefreshIntervalLeast;

std::string located(std::string_view name, const Remark& remark) {
  std::string text(name);
  if (remark.line > 0) text.append(":").append(std::to_string(remark.line));
  return text.append(": ").append(remark.text);
}

std::string joined(std::string_view name, const std::vector<Remark>& remarks) {
  std::string text;
  for (const Remark& remark : remarks)
    text.append(text.empty() ? "" : "\n").append(located(name, remark));
  return text;
}

bool is_made_elsewhere(std::string_view type) {
  return is_scrape_plugin(type) || is_request_parser(type) || is_discovery_plugin(type);
}

// Types that upstream has and nothing here makes or refuses with a reason.
std::vector<Remark> unsupported(const EndpointPickerConfig& config, const Registry& registry) {
  std::vector<Remark> problems;
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr || is_made_elsewhere(plugin.type)) continue;
    if (plugin.line == 0) continue;  // not asked for: a default of what is off anyway
    problems.push_back(Remark{plugin.line, "plugin type '" + plugin.type + "' is not built yet"});
  }
  return problems;
}

SchedulingConfig scheduling_part(const EndpointPickerConfig& config, const Registry& registry) {
  SchedulingConfig scheduling;
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr) scheduling.plugins.push_back(plugin);
  }
  scheduling.profiles = config.profiles;
  scheduling.flow_control = config.flow_control;
  scheduling.flow_control_enabled = config.flow_control_enabled;
  return scheduling;
}

Result<void> check_remote_sources(const Policy& policy) {
  for (const RemoteSource& source : policy.remote_sources()) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (!origin) return Error{"plugin '" + source.plugin + "': " + origin.error().message};
  }
  return {};
}

Error about(std::string_view name, const Error& error) {
  return Error{std::string(name) + ": " + error.message};
}

}  // namespace

Result<Registry> plugin_registry(const std::vector<std::string>& plugin_files) {
  Registry registry;
  register_plugins(registry);
  for (const std::string& file : plugin_files) {
    if (const Result<void> loaded = load_plugin_library(file, registry); !loaded) {
      return Error{"--plugin " + loaded.error().message};
    }
  }
  return registry;
}

Result<Configuration> make_configuration(const ConfigReading& reading, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval,
                                         const Registry& registry) {
  if (!reading.ok()) return Error{joined(name, reading.errors)};
  const EndpointPickerConfig& config = reading.config;
  const std::vector<Remark> problems = unsupported(config, registry);
  if (!problems.empty()) return Error{joined(name, problems)};
  Result<PolicyWithNotes> policy =
      make_configured_policy(registry, scheduling_part(config, registry), options);
  if (!policy) return about(name, policy.error());
  if (const Result<void> good = check_remote_sources(*policy->policy); !good)
    return about(name, good.error());
  Result<RequestParsers> parsers = RequestParsers::of(config);
  if (!parsers) return about(name, parsers.error());
  Result<DiscoveryFile> discovery = discovery_file(config, name);
  if (!discovery) return discovery.error();
  Result<ScrapePlan> plan = make_scrape_plan(config, name, refresh_interval);
  if (!plan) return plan.error();
  for (const std::string& note : plan->notes)
    policy->notes.insert(policy->notes.begin(), std::string(name) + ": " + note);
  for (const auto* remarks : {&reading.warnings, &reading.notes}) {
    for (const Remark& remark : *remarks) policy->notes.push_back(located(name, remark));
  }
  return Configuration{std::move(*policy), std::move(*parsers), std::move(*plan),
                       std::move(*discovery)};
}

Result<Configuration> make_configuration(std::string_view text, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  return make_configuration(read_endpoint_picker_config(text, plugin_type_facts(*registry)), name,
                            options, refresh_interval, *registry);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options) {
  Result<Configuration> made = make_configuration(text, name, options, kAnyInterval);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry) {
  Result<Configuration> made =
      make_configuration(read_endpoint_picker_config(text, plugin_type_facts(registry)), name,
                         options, kAnyInterval, registry);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<DiscoveryFile> discovery_from_config(std::string_view text, std::string_view name,
                                            const std::vector<std::string>& plugin_files) {
  const Result<Registry> registry = plugin_registry(plugin_files);
  if (!registry) return registry.error();
  const ConfigReading reading = read_endpoint_picker_config(text, plugin_type_facts(*registry));
  if (!reading.ok()) return Error{joined(name, reading.errors)};
  return discovery_file(reading.config, name);
}

std::string discovery_note(std::string_view name, const DiscoveryFile& discovery) {
  return located(name, Remark{discovery.line, "dataLayer.discovery is not used: a flag says where the endpoints are"});
}

AdmissionSettings admission_settings(const PolicyWithNotes& made) {
  using Mode = AdmissionSettings::Mode;
  return {made.flow_control_enabled ? Mode::kFlowControl : Mode::kShedding, made.flow};
}

}  // namespace kvasir
