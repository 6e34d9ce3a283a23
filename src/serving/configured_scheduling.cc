#include "serving/configured_scheduling.h"

#include "plugins/plugin_roster.h"
#include "scheduling/plugin_library.h"
#include "serving/plugin_type_facts.h"
#include "wire/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

std::string located(std::string_view name, const Remark& remark) {
  std::string text(name);
  if (remark.line > 0) text.append(":").append(std::to_string(remark.line));
  return text.append(": ").append(remark.text);
}

std::string located(std::string_view name, int line, std::string_view text) {
  return located(name, Remark{line, std::string(text)});
}

// The feeds that every fleet has: a plugin of these types changes nothing as long as it has no parameters.
bool is_built_in_feed(const PluginConfig& plugin) {
  return plugin.type == "metrics-data-source" || plugin.type == "core-metrics-extractor";
}

// What a gateway cannot do yet and would be missed.
std::vector<std::string> unsupported(const EndpointPickerConfig& config, const Registry& registry,
                                     std::string_view name) {
  std::vector<std::string> problems;
  for (const ScraperConfig& scraper : config.scrapers) {
    if (scraper.port == 0) continue;
    problems.push_back(located(name, scraper.line, "scrapers with a port of their own are not built yet: "
                                                   "metrics are read where requests go"));
  }
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr) continue;
    if (plugin.line == 0) continue;  // not asked for: a default of what is off anyway
    if (is_built_in_feed(plugin) && plugin.parameters.is_null()) continue;
    problems.push_back(located(name, plugin.line, "plugin type '" + plugin.type + "' is not built yet"));
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

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(text.empty() ? "" : "\n").append(line);
  return text;
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

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  return policy_from_config(text, name, options, *registry);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry) {
  const ConfigReading reading = read_endpoint_picker_config(text, plugin_type_facts(registry));
  std::vector<std::string> problems;
  for (const Remark& error : reading.errors) problems.push_back(located(name, error));
  if (!problems.empty()) return Error{joined(problems)};
  problems = unsupported(reading.config, registry, name);
  if (!problems.empty()) return Error{joined(problems)};
  Result<PolicyWithNotes> made =
      make_configured_policy(registry, scheduling_part(reading.config, registry), options);
  if (!made) return Error{std::string(name) + ": " + made.error().message};
  for (const auto* remarks : {&reading.warnings, &reading.notes}) {
    for (const Remark& remark : *remarks) made->notes.push_back(located(name, remark));
  }
  return made;
}

AdmissionSettings admission_settings(const PolicyWithNotes& made) {
  using Mode = AdmissionSettings::Mode;
  return {made.flow_control_enabled ? Mode::kFlowControl : Mode::kShedding, made.flow};
}

}  // namespace kvasir
