#include "plugins/scorer/seed_precise_prefix_cache_scorer.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

struct SeedPrecisePrefixCacheScorerSettings {
  double threshold = 0.5;
  uint32_t longest = 2048;
};

class SeedPrecisePrefixCacheScorer final : public Scorer {
 public:
  SeedPrecisePrefixCacheScorer(SeedPrecisePrefixCacheScorerSettings settings,
                               const PrefixMatches& matches)
      : settings_(settings), matches_(matches) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const uint32_t prompt = std::min(cycle.request.prompt_tokens, settings_.longest);
    if (prompt == 0) return;
    const PrefixMatch& match = matches_.match();
    for (size_t i = 0; i < candidates.size(); ++i) {
      const uint32_t cached = std::min(match.cached_tokens(cycle.request, candidates[i]), prompt);
      const double share = static_cast<double>(cached) / prompt;
      scores[i] = share < settings_.threshold ? 0 : share;
    }
  }

 private:
  const SeedPrecisePrefixCacheScorerSettings settings_;
  const PrefixMatches& matches_;
};

MadePlugin make_seed_precise_prefix_cache_scorer(std::string_view name, const Value& value,
                                                 PluginContext& context) {
  Parameters parameters(value, name);
  SeedPrecisePrefixCacheScorerSettings settings;
  settings.threshold = parameters.number("cacheHitThreshold", 0.5, 0, 1);
  settings.longest =
      static_cast<uint32_t>(parameters.integer("maxPrefixLength", 2048, 1, 1'000'000'000));
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<SeedPrecisePrefixCacheScorer>(settings, **matches);
}

}  // namespace

PluginType seed_precise_prefix_cache_scorer_plugin() {
  return {"seed-precise-prefix-cache-scorer", make_seed_precise_prefix_cache_scorer};
}

}  // namespace kvasir
