#include "plugins/flow/probabilistic_admitter.h"

#include <algorithm>
#include <cmath>

#include "base/parameters.h"
#include "base/random.h"
#include "plugins/flow/utilization.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

struct ProbabilisticAdmitterSettings {
  UtilizationThresholds thresholds;
  double power = 5;
  double factor = 300;
};

class ProbabilisticAdmitter final : public Admitter {
 public:
  ProbabilisticAdmitter(ProbabilisticAdmitterSettings settings, uint64_t seed)
      : settings_(settings), random_(seed) {}

  bool admits(const Cycle& cycle) override {
    if (cycle.request.priority >= 0 || cycle.candidates.empty()) return true;
    double sum = 0;
    for (const EndpointId id : cycle.candidates) {
      sum += utilization_of(cycle.fleet.endpoints[index_of(id)].metrics, settings_.thresholds);
    }
    const double saturation = sum / static_cast<double>(cycle.candidates.size());
    return random_.uniform() >=
           std::min(std::pow(saturation, settings_.power) * settings_.factor, 1.0);
  }

 private:
  const ProbabilisticAdmitterSettings settings_;
  Random random_;
};

MadePlugin make_probabilistic_admitter(std::string_view name, const Value& value,
                                       PluginContext& context) {
  Parameters parameters(value, name);
  ProbabilisticAdmitterSettings settings;
  settings.thresholds.queue_depth = parameters.number("queueDepthThreshold", 5, 1e-6);
  settings.thresholds.kv_usage = parameters.number("kvCacheUtilThreshold", .8, 1e-6, 1);
  settings.power = parameters.number("power", 5);
  settings.factor = parameters.number("k", 300);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<ProbabilisticAdmitter>(settings, context.seed());
}

}  // namespace

PluginType probabilistic_admitter_plugin() {
  return {"probabilistic-admitter", make_probabilistic_admitter};
}

}  // namespace kvasir
