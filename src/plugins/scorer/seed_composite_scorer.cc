#include "plugins/scorer/seed_composite_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "plugins/endpoint_attribute.h"

namespace kvasir {
namespace {

struct SeedCompositeScorerSettings {
  double cache_weight = 0.5;
  double load_weight = 0.3;
  double latency_weight = 0.2;
  double cache_threshold = 0.5;
  double max_queue = 10;
  double max_latency = 500;
  std::string latency_attribute;
};

double left_of(double used, double most) {
  return 1 - std::min(used, most) / most;
}

class SeedCompositeScorer final : public Scorer {
 public:
  SeedCompositeScorer(SeedCompositeScorerSettings settings, const PrefixMatches& matches)
      : settings_(std::move(settings)), matches_(matches) {}

  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const EngineMetrics& metrics = cycle.fleet.endpoints[index_of(candidates[i])].metrics;
      const double load = left_of(metrics.waiting.value_or(0), settings_.max_queue);
      const double latency = left_of(
          endpoint_attribute(metrics, settings_.latency_attribute).value_or(settings_.max_latency),
          settings_.max_latency);
      scores[i] = settings_.cache_weight * cache(cycle.request, candidates[i]) +
                  settings_.load_weight * load + settings_.latency_weight * latency;
    }
  }

 private:
  double cache(const Request& request, EndpointId id) const {
    const double share = matches_.match().share(request, id);
    return share > settings_.cache_threshold ? share : 0;
  }

  const SeedCompositeScorerSettings settings_;
  const PrefixMatches& matches_;
};

MadePlugin make_seed_composite_scorer(std::string_view name, const Value& value,
                                      PluginContext& context) {
  Parameters parameters(value, name);
  SeedCompositeScorerSettings settings;
  settings.cache_weight = parameters.number("cacheWeight", settings.cache_weight, 0, 1);
  settings.load_weight = parameters.number("loadWeight", settings.load_weight, 0, 1);
  settings.latency_weight = parameters.number("latencyWeight", settings.latency_weight, 0, 1);
  settings.cache_threshold = parameters.number("cacheHitThreshold", settings.cache_threshold, 0, 1);
  settings.max_queue = static_cast<double>(parameters.integer("maxQueueLength", 10, 1));
  settings.max_latency = static_cast<double>(parameters.integer("maxLatencyMs", 500, 1));
  settings.latency_attribute = parameters.text("latencyAttribute", "latency-p99-ms");
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<SeedCompositeScorer>(std::move(settings), **matches);
}

}  // namespace

PluginType seed_composite_scorer_plugin() {
  return {"seed-composite-scorer", make_seed_composite_scorer};
}

}  // namespace kvasir
