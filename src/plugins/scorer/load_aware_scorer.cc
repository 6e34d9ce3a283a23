#include "plugins/scorer/load_aware_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

class LoadAwareScorer final : public Scorer {
 public:
  explicit LoadAwareScorer(double threshold) : threshold_(threshold) {}

  bool reads_metrics() const override { return true; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const double waiting =
          cycle.fleet.endpoints[index_of(candidates[i])].metrics.waiting.value_or(0);
      scores[i] = 0.5 * (1 - std::min(waiting, threshold_) / threshold_);
    }
  }

 private:
  const double threshold_;
};

MadePlugin make_load_aware_scorer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const int64_t threshold = parameters.integer("threshold", 128, 1);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<LoadAwareScorer>(static_cast<double>(threshold));
}

}  // namespace

PluginType load_aware_scorer_plugin() {
  return {"load-aware-scorer", make_load_aware_scorer};
}

}  // namespace kvasir
