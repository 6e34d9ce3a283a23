#include "scheduling/flow_plugin_set.h"

namespace kvasir {
namespace {

constexpr std::string_view kEvictionFilter = "sheddable-eviction-filter";
constexpr std::string_view kEvictionOrder = "priority-then-time-eviction-order-policy";

class Finder {
 public:
  Finder(PluginMaker& maker, const Registry& registry, const FlowControlConfig& config)
      : maker_(maker), registry_(registry), config_(config) {}

  template <class Kind>
  Result<Kind*> find(const std::string& name, const char* noun, int line) {
    Result<Plugin*> plugin = maker_.find(name);
    if (plugin && *plugin == nullptr && registry_.find(name) != nullptr) plugin = maker_.add(name);
    if (!plugin) return plugin.error();
    if (auto* typed = dynamic_cast<Kind*>(*plugin)) return typed;
    return Error{line_prefix(line) + "flowControl: " +
                 (*plugin == nullptr ? "no plugin is named '" + name + "'"
                                     : "'" + name + "' is not " + noun)};
  }

  Result<void> find_band(const PriorityBandConfig& band, FlowPlugins& plugins) {
    const auto fairness =
        find<FairnessPolicy>(band.fairness_policy, "a fairness policy", band.line);
    if (!fairness) return fairness.error();
    const auto ordering =
        find<OrderingPolicy>(band.ordering_policy, "an ordering policy", band.line);
    if (!ordering) return ordering.error();
    plugins.fairness.insert_or_assign(band.fairness_policy, *fairness);
    plugins.ordering.insert_or_assign(band.ordering_policy, *ordering);
    return {};
  }

  Result<void> find_bands(FlowPlugins& plugins) {
    if (auto found = find_band(config_.default_band, plugins); !found) return found.error();
    if (auto found = find_band(config_.default_negative_band, plugins); !found)
      return found.error();
    for (const PriorityBandConfig& band : config_.bands) {
      if (auto found = find_band(band, plugins); !found) return found.error();
    }
    return {};
  }

  // The configured one, else the default.
  template <class Kind>
  Result<Kind*> only_one(std::string_view default_type) {
    for (const std::string_view name : maker_.names()) {
      const Result<Plugin*> plugin = maker_.find(name);
      if (auto* typed = dynamic_cast<Kind*>(plugin ? *plugin : nullptr)) return typed;
    }
    const Result<Plugin*> added = maker_.add(default_type);
    if (!added) return added.error();
    return dynamic_cast<Kind*>(*added);
  }

  Result<void> find_eviction(FlowPlugins& plugins) {
    const auto filter = only_one<EvictionFilter>(kEvictionFilter);
    if (!filter) return filter.error();
    const auto order = only_one<EvictionOrder>(kEvictionOrder);
    if (!order) return order.error();
    plugins.eviction_filter = *filter;
    plugins.eviction_order = *order;
    return {};
  }

 private:
  PluginMaker& maker_;
  const Registry& registry_;
  const FlowControlConfig& config_;
};

}  // namespace

Result<FoundFlowPlugins> find_flow_plugins(PluginMaker& maker, const Registry& registry,
                                           const SchedulingConfig& config) {
  FoundFlowPlugins found;
  if (!config.flow_control) return found;
  const FlowControlConfig& flow = *config.flow_control;
  Finder finder(maker, registry, flow);
  const auto detector =
      finder.find<SaturationDetector>(flow.saturation_detector, "a saturation detector", flow.line);
  if (!detector) return detector.error();
  found.detector = *detector;
  found.plugins.settling_time = found.detector->settling_time();
  if (!config.flow_control_enabled) return found;
  if (auto bands = finder.find_bands(found.plugins); !bands) return bands.error();
  if (!flow.usage_limit_policy.empty()) {
    const auto limit =
        finder.find<UsageLimitPolicy>(flow.usage_limit_policy, "a usage limit policy", flow.line);
    if (!limit) return limit.error();
    found.plugins.usage_limit = *limit;
  }
  if (flow.eviction) {
    if (auto eviction = finder.find_eviction(found.plugins); !eviction) return eviction.error();
  }
  return found;
}

}  // namespace kvasir
