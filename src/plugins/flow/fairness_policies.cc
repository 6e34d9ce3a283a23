#include "plugins/flow/fairness_policies.h"

#include <map>

#include "base/parameters.h"
#include "flow/global_strict_fairness.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class RoundRobinFairness final : public FairnessPolicy {
 public:
  size_t next(int32_t priority, std::span<const FlowHead> flows, TimePoint) override {
    std::string& last = last_[priority];
    size_t index = 0;
    while (index < flows.size() && flows[index].fairness_id <= last) ++index;
    if (index == flows.size()) index = 0;
    last = flows[index].fairness_id;
    return index;
  }

 private:
  std::map<int32_t, std::string> last_;  // by band, of which there are few
};

template <class Policy>
MadePlugin make_fairness_policy(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<Policy>();
}

}  // namespace

PluginType global_strict_fairness_policy_plugin() {
  return {"global-strict-fairness-policy", make_fairness_policy<GlobalStrictFairness>};
}

PluginType round_robin_fairness_policy_plugin() {
  return {"round-robin-fairness-policy", make_fairness_policy<RoundRobinFairness>};
}

}  // namespace kvasir
