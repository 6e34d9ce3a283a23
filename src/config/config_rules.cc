#include "config/config_rules.h"

#include "base/nearest_name.h"

namespace kvasir {
namespace {

class Rules {
 public:
  Rules(ConfigReading& reading, std::span<const PluginTypeFacts> types)
      : reading_(reading), config_(reading.config), types_(types) {}

  void run() {
    check_types();
    check_names();
    check_profiles();
    check_handlers();
    check_data_layer();
    check_flow_control();
    for (const std::string& parser : config_.parsers) {
      check_reference(parser, kParserPlace, "a parser", 0, "requestHandler");
    }
  }

 private:
  void error(int line, std::string text) {
    reading_.errors.push_back(Remark{line, std::move(text)});
  }

  const PluginTypeFacts* type_of(const std::string& plugin) const {
    const PluginConfig* config = config_.find_plugin(plugin);
    return config != nullptr ? find_plugin_type(types_, config->type) : nullptr;
  }

  void check_types() {
    std::vector<std::string_view> names;
    for (const PluginTypeFacts& type : types_) names.push_back(type.name);
    for (const PluginConfig& plugin : config_.plugins) {
      if (has_enough()) return;
      if (plugin.type.empty() || find_plugin_type(types_, plugin.type) != nullptr) continue;
      const std::string_view former = former_plugin_type_hint(plugin.type);
      error(plugin.line, "plugins: type '" + plugin.type + "' does not exist" +
                             (former.empty() ? did_you_mean(plugin.type, names)
                                             : " any more; " + std::string(former)));
    }
  }

  void check_names() {
    for (size_t at = 0; at < config_.plugins.size(); ++at) {
      const PluginConfig& plugin = config_.plugins[at];
      const PluginConfig* first = config_.find_plugin(plugin.name);
      if (first == &plugin || plugin.name.empty()) continue;
      error(plugin.line, "plugins: the name '" + plugin.name + "' is taken by line " +
                             std::to_string(first->line) + "; give one of them another name");
    }
  }

  // Looking for the name that was meant takes time; a file with this many errors gets none for
  // more.
  bool has_enough() const { return reading_.errors.size() >= kConfigErrorsMost; }

  void check_reference(const std::string& name, uint32_t place, const char* what, int line,
                       const std::string& owner) {
    if (name.empty() || has_enough()) return;
    if (config_.find_plugin(name) == nullptr) {
      std::vector<std::string_view> names;
      for (const PluginConfig& plugin : config_.plugins) names.push_back(plugin.name);
      return error(line, owner + ": there is no plugin '" + name + "'" + did_you_mean(name, names));
    }
    const PluginTypeFacts* type = type_of(name);
    if (type != nullptr && (type->places & place) == 0) {
      error(line, owner + ": '" + name + "' is a " + std::string(type->name) + ", not " + what);
    }
  }

  void check_profiles() {
    for (size_t at = 0; at < config_.profiles.size(); ++at) {
      const SchedulingProfileConfig& profile = config_.profiles[at];
      for (size_t other = 0; other < at; ++other) {
        if (config_.profiles[other].name != profile.name) continue;
        error(profile.line, "schedulingProfiles: the name '" + profile.name +
                                "' is taken by line " +
                                std::to_string(config_.profiles[other].line));
      }
      check_uses(profile);
    }
  }

  void check_uses(const SchedulingProfileConfig& profile) {
    const std::string owner = "schedulingProfiles: " + profile.name;
    const PluginUse* picker = nullptr;
    for (const PluginUse& use : profile.plugins) {
      // Upstream takes any plugin here and lets one without a place do nothing; a warning tells it.
      check_reference(use.plugin, ~0u, "", use.line, owner);
      const PluginTypeFacts* type = type_of(use.plugin);
      if (type == nullptr || (type->places & kPickerPlace) == 0) continue;
      if (picker != nullptr)
        error(use.line,
              owner + ": '" + use.plugin + "' is a second picker beside '" + picker->plugin + "'");
      picker = &use;
    }
  }

  void check_handlers() {
    const PluginConfig* handler = nullptr;
    for (const PluginConfig& plugin : config_.plugins) {
      const PluginTypeFacts* type = find_plugin_type(types_, plugin.type);
      if (type == nullptr || (type->places & kProfileHandlerPlace) == 0) continue;
      if (handler != nullptr) {
        error(plugin.line, "plugins: '" + plugin.name + "' is a second profile handler beside '" +
                               handler->name + "'");
      }
      handler = &plugin;
    }
    const std::string count = std::to_string(config_.profiles.size());
    if (handler == nullptr) {
      error(0, "plugins: " + count +
                   " schedulingProfiles need a profile handler, such as disagg-profile-handler");
    } else if (handler->type == "single-profile-handler" && config_.profiles.size() > 1) {
      error(handler->line,
            "plugins: single-profile-handler runs one profile, but there are " + count);
    }
  }

  void check_data_layer() {
    const DataLayerConfig& layer = config_.data_layer;
    for (const DataSourceConfig& source : layer.sources) {
      check_reference(source.plugin, kDataLayerPlace, "a data source", source.line,
                      "dataLayer: sources");
      for (const std::string& extractor : source.extractors) {
        check_reference(extractor, kDataLayerPlace, "an extractor", source.line,
                        "dataLayer: extractors");
      }
    }
    check_reference(layer.discovery, kDataLayerPlace, "a discovery", 0, "dataLayer: discovery");
    check_reference(layer.peer_discovery, kDataLayerPlace, "a discovery", 0,
                    "dataLayer: peerDiscovery");
    check_reference(layer.cross_replica_syncer, ~0u, "", 0,
                    "dataLayer: crossReplicaSyncerPluginRef");
  }

  void check_flow_control() {
    const FlowControlConfig& flow = config_.flow_control;
    check_reference(flow.saturation_detector, kFlowControlPlace, "a saturation detector", flow.line,
                    "flowControl: saturationDetector");
    check_reference(flow.usage_limit_policy, kFlowControlPlace, "a usage limit policy", flow.line,
                    "flowControl: usageLimitPolicyPluginRef");
    if (!config_.flow_control_enabled && flow.line == 0) return;
    check_band(flow.default_band, "flowControl: defaultPriorityBand");
    check_band(flow.default_negative_band, "flowControl: defaultNegativePriorityBand");
    for (const PriorityBandConfig& band : flow.bands)
      check_band(band, "flowControl: priorityBands");
  }

  void check_band(const PriorityBandConfig& band, const std::string& owner) {
    const PriorityBandConfig defaults;
    if (band.fairness_policy != defaults.fairness_policy) {
      check_reference(band.fairness_policy, kFlowControlPlace, "a fairness policy", band.line,
                      owner);
    }
    if (band.ordering_policy != defaults.ordering_policy) {
      check_reference(band.ordering_policy, kFlowControlPlace, "an ordering policy", band.line,
                      owner);
    }
  }

  ConfigReading& reading_;
  const EndpointPickerConfig& config_;
  const std::span<const PluginTypeFacts> types_;
};

}  // namespace

void check_config(ConfigReading& reading, std::span<const PluginTypeFacts> types) {
  Rules(reading, types).run();
}

}  // namespace kvasir
