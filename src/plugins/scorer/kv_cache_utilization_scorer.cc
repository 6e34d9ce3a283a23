#include "plugins/scorer/kv_cache_utilization_scorer.h"

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

class KvCacheUtilizationScorer final : public Scorer {
 public:
  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const EngineMetrics& metrics = cycle.fleet.endpoints[index_of(candidates[i])].metrics;
      scores[i] = 1 - metrics.kv_usage.value_or(0);
    }
  }
};

MadePlugin make_kv_cache_utilization_scorer(std::string_view name, const Value& value,
                                            PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<KvCacheUtilizationScorer>();
}

}  // namespace

PluginType kv_cache_utilization_scorer_plugin() {
  return {"kv-cache-utilization-scorer", make_kv_cache_utilization_scorer};
}

}  // namespace kvasir
