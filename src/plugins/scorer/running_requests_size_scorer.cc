#include "plugins/scorer/running_requests_size_scorer.h"

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "plugins/scorer/spread_score.h"

namespace kvasir {
namespace {

class RunningRequestsSizeScorer final : public Scorer {
 public:
  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    score_by_spread(candidates, scores, [&](EndpointId id) {
      return cycle.fleet.endpoints[index_of(id)].metrics.running.value_or(0);
    });
  }
};

MadePlugin make_running_requests_size_scorer(std::string_view name, const Value& value,
                                             PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<RunningRequestsSizeScorer>();
}

}  // namespace

PluginType running_requests_size_scorer_plugin() {
  return {"running-requests-size-scorer", make_running_requests_size_scorer};
}

}  // namespace kvasir
