#include "plugins/scorer/precise_prefix_cache_scorer.h"

#include <utility>

#include "plugins/producer/precise_matches.h"

namespace kvasir {
namespace {

// Scores by what another says.
class PreciseScorer final : public Scorer {
 public:
  explicit PreciseScorer(const PrefixMatches& matches) : matches_(matches) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const PrefixMatch& match = matches_.match();
    for (size_t i = 0; i < candidates.size(); ++i) {
      scores[i] = match.share(cycle.request, candidates[i]);
    }
  }

 private:
  const PrefixMatches& matches_;
};

// With a producer of its own.
class PreciseScorerAndProducer final : public Scorer, public PrefixMatches, public KnowledgeReader {
 public:
  PreciseScorerAndProducer(PreciseSettings settings, PluginContext& context)
      : producer_(std::move(settings), context), scorer_(producer_) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    scorer_.score(cycle, candidates, scores);
  }
  const PrefixMatch& match() const override { return producer_.match(); }
  void produce(const Cycle& cycle) override { producer_.produce(cycle); }
  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    producer_.picked(cycle, profiles);
  }
  void add_readings(std::vector<PluginReading>& readings) const override {
    producer_.add_readings(readings);
  }
  void endpoint_replaced(EndpointId endpoint) override { producer_.endpoint_replaced(endpoint); }
  void add_wanted(WantedKnowledge& wanted) const override { producer_.add_wanted(wanted); }

 private:
  PrecisePrefixCacheProducer producer_;
  PreciseScorer scorer_;
};

MadePlugin make_precise_prefix_cache_scorer(std::string_view name, const Value& value,
                                            PluginContext& context) {
  if (const Result<PrecisePrefixMatches*> other = context.find<PrecisePrefixMatches>("")) {
    if (!value.is_null()) {
      context.note(
          "has no effect with its parameters: those of precise-prefix-cache-producer count");
    }
    return make_plugin<PreciseScorer>(**other);
  }
  Checked<PreciseSettings> settings = read_precise_settings(name, value, true, context);
  if (!settings) return settings.problems();
  return make_plugin<PreciseScorerAndProducer>(std::move(*settings), context);
}

}  // namespace

PluginType precise_prefix_cache_scorer_plugin() {
  return {"precise-prefix-cache-scorer", make_precise_prefix_cache_scorer, Stability::kDeprecated,
          "prefix-cache-scorer with precise-prefix-cache-producer"};
}

}  // namespace kvasir
