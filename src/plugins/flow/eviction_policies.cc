#include "plugins/flow/eviction_policies.h"

#include "base/parameters.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class SheddableEvictionFilter final : public EvictionFilter {
 public:
  bool may_evict(const InFlightRequest& request) const override { return request.priority < 0; }
};

class PriorityThenTime final : public EvictionOrder {
 public:
  bool before(const InFlightRequest& a, const InFlightRequest& b) const override {
    if (a.priority != b.priority) return a.priority < b.priority;
    if (a.dispatched != b.dispatched) return a.dispatched > b.dispatched;
    return a.sequence > b.sequence;
  }
};

template <class Policy>
MadePlugin make_eviction_policy(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<Policy>();
}

}  // namespace

PluginType sheddable_eviction_filter_plugin() {
  return {"sheddable-eviction-filter", make_eviction_policy<SheddableEvictionFilter>,
          Stability::kAlpha};
}

PluginType priority_then_time_eviction_order_policy_plugin() {
  return {"priority-then-time-eviction-order-policy", make_eviction_policy<PriorityThenTime>,
          Stability::kAlpha};
}

}  // namespace kvasir
