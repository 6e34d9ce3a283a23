#include "serving/configured_scheduling.h"

#include "config/plugin_type_facts.h"
#include "config/read_endpoint_picker_config.h"
#include "plugins/plugin_roster.h"
#include "scheduling/policy.h"

namespace kvasir {

Result<Configuration> make_configuration(const ConfigReading& reading, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval,
                                         const Registry& registry) {
  Result<PoolConfig> compiled = compile(reading, name, registry, {options, refresh_interval});
  if (!compiled) return compiled.error();
  return make_configuration(std::move(*compiled), options, registry);
}

Result<Configuration> make_configuration(PoolConfig compiled, const PluginOptions& options,
                                         const Registry& registry) {
  Result<PolicyWithNotes> policy = make_configured_policy(registry, compiled.scheduling, options);
  if (!policy) return policy.error();
  policy->notes = std::move(compiled.notes);
  AdmissionSettings admission = admission_settings(*policy, compiled.sheds);
  return Configuration{std::move(*policy),         std::move(compiled.parsers),
                       std::move(compiled.scrape), std::move(compiled.discovery),
                       std::move(admission),       compiled.says_something,
                       compiled.plugins_named};
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
  Result<Configuration> made = make_configuration(text, name, options, kRefreshIntervalLeast);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry) {
  Result<Configuration> made =
      make_configuration(read_endpoint_picker_config(text, plugin_type_facts(registry)), name,
                         options, kRefreshIntervalLeast, registry);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<DiscoveryFile> discovery_from_config(std::string_view text, std::string_view name,
                                            const PluginOptions& options) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  const ConfigReading reading = read_endpoint_picker_config(text, plugin_type_facts(*registry));
  if (reading.ok()) {
    Result<DiscoveryFile> file = discovery_file(reading.config, name);
    if (file) return file;
  }
  return make_configuration(reading, name, options, kRefreshIntervalLeast, *registry).error();
}

AdmissionSettings admission_settings(const PolicyWithNotes& made, bool sheds) {
  using Mode = AdmissionSettings::Mode;
  const Mode without = sheds ? Mode::kShedding : Mode::kOpen;
  return {made.flow_control_enabled ? Mode::kFlowControl : without, made.flow};
}

}  // namespace kvasir
