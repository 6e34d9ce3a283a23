#include "plugins/scorer/prefix_cache_scorer.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

struct PrefixCacheScorerSettings {
  double length_weight = 0;
  double length_scale = 8192;
};

class PrefixCacheScorer final : public Scorer {
 public:
  PrefixCacheScorer(PrefixCacheScorerSettings settings, const PrefixMatches& matches)
      : settings_(settings), matches_(matches) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const PrefixMatch& match = matches_.match();
    for (size_t i = 0; i < candidates.size(); ++i) {
      const double share = match.share(cycle.request, candidates[i]);
      if (share == 0) continue;
      const auto length = static_cast<double>(match.matched_tokens(candidates[i]));
      const double reach = std::min(1.0, length / settings_.length_scale);
      scores[i] = (1 - settings_.length_weight) * share + settings_.length_weight * reach * reach;
    }
  }

 private:
  const PrefixCacheScorerSettings settings_;
  const PrefixMatches& matches_;
};

// What older releases had here, before the scorer and its producer became two plugins. Upstream
// refuses it, too.
void refuse_parameters_of_producer(Parameters& parameters) {
  parameters.refuse_former("hashBlockSize",
                           "it is blockSizeTokens of approx-prefix-cache-producer now, in tokens, "
                           "not characters: list a plugin of that type and say it there");
  for (const char* key : {"autoTune", "blockSize", "blockSizeTokens", "lruCapacityPerServer",
                          "maxPrefixBlocksToMatch", "maxPrefixTokensToMatch"}) {
    parameters.refuse_former(key,
                             "it is a parameter of approx-prefix-cache-producer now: list a plugin "
                             "of that type and say it there");
  }
}

MadePlugin make_prefix_cache_scorer(std::string_view name, const Value& value,
                                    PluginContext& context) {
  Parameters parameters(value, name);
  refuse_parameters_of_producer(parameters);
  PrefixCacheScorerSettings settings;
  settings.length_weight = parameters.number("matchLengthWeight", 0, 0, 1);
  settings.length_scale =
      static_cast<double>(parameters.integer("matchLengthScaleTokens", 8192, 1));
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<PrefixCacheScorer>(settings, **matches);
}

}  // namespace

PluginType prefix_cache_scorer_plugin() {
  return {"prefix-cache-scorer", make_prefix_cache_scorer};
}

}  // namespace kvasir
