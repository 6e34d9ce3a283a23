#include "plugins/scorer/lora_affinity_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

bool names(const std::vector<std::string>& adapters, std::string_view model) {
  return std::find(adapters.begin(), adapters.end(), model) != adapters.end();
}

double affinity(const EngineDetails& engine, std::string_view model) {
  if (names(engine.running_adapters, model)) return 1;
  if (engine.running_adapters.size() + engine.waiting_adapters.size() < engine.adapters_max) {
    return 0.8;
  }
  return names(engine.waiting_adapters, model) ? 0.6 : 0;
}

class LoraAffinityScorer final : public Scorer {
 public:
  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      scores[i] =
          affinity(cycle.fleet.endpoints[index_of(candidates[i])].metrics.details(), cycle.request.model);
    }
  }
};

MadePlugin make_lora_affinity_scorer(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<LoraAffinityScorer>();
}

}  // namespace

PluginType lora_affinity_scorer_plugin() {
  return {"lora-affinity-scorer", make_lora_affinity_scorer};
}

}  // namespace kvasir
