#include "plugins/scorer/lmetric_scorer.h"

#include "base/parameters.h"
#include "model/plugin_place.h"
#include "plugins/scorer/spread_score.h"

namespace kvasir {
namespace {

class LMetricScorer final : public Scorer {
 public:
  LMetricScorer(const InflightLoads& loads, const PrefixMatches& matches)
      : loads_(loads), matches_(matches) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const InflightLoad> loads = loads_.loads();
    const PrefixMatch& match = matches_.match();
    score_by_spread(candidates, scores, [&](EndpointId id) {
      const InflightLoad& load = loads[index_of(id)];
      const uint32_t uncached =
          cycle.request.prompt_tokens - match.cached_tokens(cycle.request, id);
      return static_cast<double>(load.tokens + uncached) * (load.requests + 1.0);
    });
  }

 private:
  const InflightLoads& loads_;
  const PrefixMatches& matches_;
};

MadePlugin make_lmetric_scorer(std::string_view name, const Value& value, PluginContext& context) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  const Result<InflightLoads*> loads = context.find<InflightLoads>("");
  if (!loads) return loads.error();
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>("");
  if (!matches) return matches.error();
  return make_plugin<LMetricScorer>(**loads, **matches);
}

}  // namespace

PluginType lmetric_scorer_plugin() {
  PluginType type{"lmetric-scorer", make_lmetric_scorer, Stability::kAlpha};
  type.places = kScorerPlace;
  return type;
}

}  // namespace kvasir
