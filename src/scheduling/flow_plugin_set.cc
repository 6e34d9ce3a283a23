#include "scheduling/flow_plugin_set.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr std::string_view kEvictionFilter = "sheddable-eviction-filter";
constexpr std::string_view kEvictionOrder = "priority-then-time-eviction-order-policy";

class Finder {
 public:
  Finder(PluginMaker& maker, const Registry& registry, const FlowControlConfig& config)
      : maker_(maker), registry_(registry), config_(config) {}

  // Null: the maker was told why.
  template <class Kind>
  Kind* find(const std::string& name, const char* noun, int line) {
    Plugin* plugin = maker_.find(name);
    if (plugin == nullptr && registry_.find(name) != nullptr) {
      plugin = maker_.add(name);
      if (plugin == nullptr) return nullptr;
    }
    auto* typed = dynamic_cast<Kind*>(plugin);
    if (typed == nullptr) {
      maker_.tell(line, "flowControl: " + (plugin == nullptr ? "no plugin is named '" + name + "'"
                                                             : "'" + name + "' is not " + noun));
    }
    return typed;
  }

  bool find_band(const PriorityBandConfig& band, FlowPlugins& plugins) {
    auto* fairness = find<FairnessPolicy>(band.fairness_policy, "a fairness policy", band.line);
    if (fairness == nullptr) return false;
    auto* ordering = find<OrderingPolicy>(band.ordering_policy, "an ordering policy", band.line);
    if (ordering == nullptr) return false;
    plugins.fairness.insert_or_assign(band.fairness_policy, fairness);
    plugins.ordering.insert_or_assign(band.ordering_policy, ordering);
    return true;
  }

  bool find_bands(FlowPlugins& plugins) {
    const auto found = [&](const PriorityBandConfig& band) { return find_band(band, plugins); };
    return found(config_.default_band) && found(config_.default_negative_band) &&
           std::all_of(config_.bands.begin(), config_.bands.end(), found);
  }

  // The configured one, else the default.
  template <class Kind>
  Kind* only_one(std::string_view default_type) {
    for (const std::string_view name : maker_.names()) {
      if (auto* typed = dynamic_cast<Kind*>(maker_.find(name))) return typed;
    }
    return dynamic_cast<Kind*>(maker_.add(default_type));
  }

 private:
  PluginMaker& maker_;
  const Registry& registry_;
  const FlowControlConfig& config_;
};

}  // namespace

FoundFlowPlugins find_flow_plugins(PluginMaker& maker, const Registry& registry,
                                   const SchedulingConfig& config) {
  FoundFlowPlugins found;
  if (!config.flow_control) return found;
  const FlowControlConfig& flow = *config.flow_control;
  Finder finder(maker, registry, flow);
  found.detector =
      finder.find<SaturationDetector>(flow.saturation_detector, "a saturation detector", flow.line);
  if (found.detector == nullptr) return found;
  found.plugins.settling_time = found.detector->settling_time();
  if (!config.flow_control_enabled || !finder.find_bands(found.plugins)) return found;
  if (!flow.usage_limit_policy.empty()) {
    found.plugins.usage_limit =
        finder.find<UsageLimitPolicy>(flow.usage_limit_policy, "a usage limit policy", flow.line);
    if (found.plugins.usage_limit == nullptr) return found;
  }
  if (flow.eviction) {
    found.plugins.eviction_filter = finder.only_one<EvictionFilter>(kEvictionFilter);
    found.plugins.eviction_order = finder.only_one<EvictionOrder>(kEvictionOrder);
  }
  return found;
}

}  // namespace kvasir
