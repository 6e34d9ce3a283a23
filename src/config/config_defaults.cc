#include "config/config_rules.h"

namespace kvasir {
namespace {

constexpr uint32_t kProfilePlaces = kFilterPlace | kScorerPlace | kPickerPlace;
constexpr const char* kPicker = "max-score-picker";
constexpr const char* kHandler = "single-profile-handler";
constexpr const char* kMetricsSource = "metrics-data-source";
constexpr const char* kMetricsExtractor = "core-metrics-extractor";

class Completion {
 public:
  Completion(ConfigReading& reading, std::span<const PluginTypeFacts> types)
      : reading_(reading), config_(reading.config), types_(types) {}

  void run() {
    add_profile();
    for (SchedulingProfileConfig& profile : config_.profiles) add_picker(profile);
    add_handler();
    add_metrics();
    add_flow_control_plugins();
  }

 private:
  uint32_t places(const std::string& plugin) const {
    const PluginConfig* config = config_.find_plugin(plugin);
    const PluginTypeFacts* type =
        config != nullptr ? find_plugin_type(types_, config->type) : nullptr;
    return type != nullptr ? type->places : 0;
  }

  void note(std::string text) {
    reading_.notes.push_back(Remark{0, "default: " + std::move(text)});
  }

  // A plugin of this name, made with its type's defaults unless the file has one.
  void ensure(const std::string& type) {
    if (config_.find_plugin(type) == nullptr)
      config_.plugins.push_back(PluginConfig{type, type, Value(), 0});
  }

  void add_profile() {
    if (!config_.profiles.empty()) return;
    SchedulingProfileConfig profile{"default", {}, 0};
    for (const PluginConfig& plugin : config_.plugins) {
      if ((places(plugin.name) & kProfilePlaces) != 0) {
        profile.plugins.push_back(PluginUse{plugin.name, std::nullopt, plugin.line});
      }
    }
    config_.profiles.push_back(std::move(profile));
    note("no schedulingProfiles: one profile 'default' with every filter, scorer and picker");
  }

  void add_picker(SchedulingProfileConfig& profile) {
    for (const PluginUse& use : profile.plugins) {
      if ((places(use.plugin) & kPickerPlace) != 0) return;
    }
    const std::string picker = configured_picker();
    profile.plugins.push_back(PluginUse{picker, std::nullopt, 0});
    note("profile '" + profile.name + "' names no picker: " + picker);
  }

  // The first that the file configures; else one is added.
  std::string configured_picker() {
    for (const PluginConfig& plugin : config_.plugins) {
      if ((places(plugin.name) & kPickerPlace) != 0) return plugin.name;
    }
    ensure(kPicker);
    return kPicker;
  }

  void add_handler() {
    for (const PluginConfig& plugin : config_.plugins) {
      if ((places(plugin.name) & kProfileHandlerPlace) != 0) return;
    }
    if (config_.profiles.size() != 1) return;  // check_config() tells it
    ensure(kHandler);
    note(std::string("no profile handler: ") + kHandler);
  }

  void add_metrics() {
    if (!config_.data_layer.inject_defaults) return;
    for (const DataSourceConfig& source : config_.data_layer.sources) {
      const PluginConfig* plugin = config_.find_plugin(source.plugin);
      if (plugin != nullptr && plugin->type == kMetricsSource) return;
    }
    const std::string source = first_of_type(kMetricsSource);
    const std::string extractor = first_of_type(kMetricsExtractor);
    config_.data_layer.sources.push_back(DataSourceConfig{source, {extractor}, 0});
    note("metrics are read by " + source + " and " + extractor);
  }

  // The name of the first plugin of that type; one is added when there is none.
  std::string first_of_type(const std::string& type) {
    for (const PluginConfig& plugin : config_.plugins) {
      if (plugin.type == type) return plugin.name;
    }
    ensure(type);
    return type;
  }

  void add_flow_control_plugins() {
    const FlowControlConfig& flow = config_.flow_control;
    if (flow.saturation_detector == FlowControlConfig().saturation_detector)
      ensure(flow.saturation_detector);
    if (!config_.flow_control_enabled) return;
    ensure_policies(flow.default_band);
    ensure_policies(flow.default_negative_band);
    for (const PriorityBandConfig& band : flow.bands) ensure_policies(band);
  }

  void ensure_policies(const PriorityBandConfig& band) {
    const PriorityBandConfig defaults;
    if (band.fairness_policy == defaults.fairness_policy) ensure(band.fairness_policy);
    if (band.ordering_policy == defaults.ordering_policy) ensure(band.ordering_policy);
  }

  ConfigReading& reading_;
  EndpointPickerConfig& config_;
  const std::span<const PluginTypeFacts> types_;
};

}  // namespace

EndpointPickerConfig default_endpoint_picker_config() {
  EndpointPickerConfig config;
  for (const char* type : {"queue-scorer", "kv-cache-utilization-scorer", "prefix-cache-scorer",
                           kMetricsSource, kMetricsExtractor, kHandler, kPicker}) {
    config.plugins.push_back(PluginConfig{type, type, Value(), 0});
  }
  config.profiles.push_back(SchedulingProfileConfig{"default",
                                                    {{"queue-scorer", 2, 0},
                                                     {"kv-cache-utilization-scorer", 2, 0},
                                                     {"prefix-cache-scorer", 3, 0},
                                                     {kPicker, std::nullopt, 0}},
                                                    0});
  config.data_layer.sources.push_back(DataSourceConfig{kMetricsSource, {kMetricsExtractor}, 0});
  config.plugins.push_back(
      PluginConfig{"utilization-detector", "utilization-detector", Value(), 0});
  return config;
}

void complete_config(ConfigReading& reading, std::span<const PluginTypeFacts> types) {
  Completion(reading, types).run();
}

}  // namespace kvasir
