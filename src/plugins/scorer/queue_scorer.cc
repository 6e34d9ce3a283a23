#include "plugins/scorer/queue_scorer.h"

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "plugins/scorer/spread_score.h"

namespace kvasir {
namespace {

class QueueScorer final : public Scorer {
 public:
  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    score_by_spread(candidates, scores, [&](EndpointId id) {
      return cycle.fleet.endpoints[index_of(id)].metrics.waiting.value_or(0);
    });
  }
};

MadePlugin make_queue_scorer(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<QueueScorer>();
}

}  // namespace

PluginType queue_scorer_plugin() {
  return {"queue-scorer", make_queue_scorer};
}

}  // namespace kvasir
