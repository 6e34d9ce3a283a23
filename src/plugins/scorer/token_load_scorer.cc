#include "plugins/scorer/token_load_scorer.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

class TokenLoadScorer final : public Scorer {
 public:
  // `matches` may be null: the only one there is, if any.
  TokenLoadScorer(double threshold, const InflightLoads& loads, const PrefixMatches* matches)
      : threshold_(threshold), loads_(loads), matches_(matches) {}

  void connect(PluginContext& context) override {
    if (matches_ == nullptr) matches_ = context.find_made<PrefixMatches>();
  }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const InflightLoad> loads = loads_.loads();
    const PrefixMatch* match = matches_ != nullptr ? &matches_->match() : nullptr;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const EndpointId id = candidates[i];
      const uint32_t cached = match ? match->cached_tokens(cycle.request, id) : 0;
      const double load =
          static_cast<double>(loads[index_of(id)].tokens) + (cycle.request.prompt_tokens - cached);
      scores[i] = 1 - std::min(load, threshold_) / threshold_;
    }
  }

 private:
  const double threshold_;
  const InflightLoads& loads_;
  const PrefixMatches* matches_;
};

MadePlugin make_token_load_scorer(std::string_view name, const Value& value,
                                  PluginContext& context) {
  Parameters parameters(value, name);
  const int64_t threshold = parameters.integer("queueThresholdTokens", 4'194'304, 1);
  const std::string load_producer = parameters.text("inFlightLoadProducerName", "");
  const std::string match_producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<InflightLoads*> loads = context.find<InflightLoads>(load_producer);
  if (!loads) return loads.error();
  const PrefixMatches* matches = nullptr;
  if (!match_producer.empty()) {
    const Result<PrefixMatches*> found = context.find<PrefixMatches>(match_producer);
    if (!found) return found.error();
    matches = *found;
  }
  return make_plugin<TokenLoadScorer>(static_cast<double>(threshold), **loads, matches);
}

}  // namespace

PluginType token_load_scorer_plugin() {
  return {"token-load-scorer", make_token_load_scorer};
}

}  // namespace kvasir
