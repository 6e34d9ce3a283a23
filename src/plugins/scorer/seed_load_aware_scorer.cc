#include "plugins/scorer/seed_load_aware_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

struct SeedLoadAwareScorerSettings {
  double queue_weight = 0.6;
  double gpu_weight = 0.4;
  double max_queue = 10;
};

class SeedLoadAwareScorer final : public Scorer {
 public:
  explicit SeedLoadAwareScorer(SeedLoadAwareScorerSettings settings) : settings_(settings) {}

  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const EngineMetrics& metrics = cycle.fleet.endpoints[index_of(candidates[i])].metrics;
      const double queue = std::min(metrics.waiting.value_or(0), settings_.max_queue);
      scores[i] = settings_.queue_weight * (1 - queue / settings_.max_queue) +
                  settings_.gpu_weight * (1 - metrics.gpu_utilization.value_or(0));
    }
  }

 private:
  const SeedLoadAwareScorerSettings settings_;
};

MadePlugin make_seed_load_aware_scorer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  SeedLoadAwareScorerSettings settings;
  settings.queue_weight = parameters.number("queueLengthWeight", settings.queue_weight, 0, 1);
  settings.gpu_weight = parameters.number("gpuUtilWeight", settings.gpu_weight, 0, 1);
  settings.max_queue = static_cast<double>(parameters.integer("maxQueueLength", 10, 1));
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<SeedLoadAwareScorer>(settings);
}

}  // namespace

PluginType seed_load_aware_scorer_plugin() {
  return {"seed-load-aware-scorer", make_seed_load_aware_scorer};
}

}  // namespace kvasir
