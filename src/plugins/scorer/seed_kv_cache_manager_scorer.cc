#include "plugins/scorer/seed_kv_cache_manager_scorer.h"

#include <limits>

#include "base/parameters.h"
#include "scheduling/remote_source.h"

namespace kvasir {
namespace {

class SeedKvCacheManagerScorer final : public Scorer, public RemoteScoreReader {
 public:
  SeedKvCacheManagerScorer(RemoteSource source, double threshold)
      : source_(std::move(source)), threshold_(threshold) {}

  RemoteSource remote_source() const override { return source_; }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const double> rates = rates_of(cycle.request);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const size_t index = index_of(candidates[i]);
      const double rate =
          index < rates.size() ? rates[index] : std::numeric_limits<double>::quiet_NaN();
      scores[i] = rate < threshold_ ? 0 : rate;
    }
  }

 private:
  std::span<const double> rates_of(const Request& request) const {
    for (const RemoteScores& scores : request.remote_scores) {
      if (scores.plugin == source_.plugin) return scores.by_endpoint;
    }
    return {};
  }

  const RemoteSource source_;
  const double threshold_;
};

MadePlugin make_seed_kv_cache_manager_scorer(std::string_view name, const Value& value,
                                             PluginContext&) {
  Parameters parameters(value, name);
  RemoteSource source;
  source.plugin = name;
  source.url = parameters.text("endpoint", "");
  if (!source.url.starts_with("http://")) parameters.fail("endpoint", "must be http://HOST:PORT");
  source.timeout = parameters.duration("timeout", std::chrono::milliseconds(50));
  if (source.timeout <= Duration::zero()) parameters.fail("timeout", "must be longer than 0");
  const double threshold = parameters.number("cacheThreshold", 0.5, 0, 1);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<SeedKvCacheManagerScorer>(std::move(source), threshold);
}

}  // namespace

PluginType seed_kv_cache_manager_scorer_plugin() {
  return {"seed-kv-cache-manager-scorer", make_seed_kv_cache_manager_scorer};
}

}  // namespace kvasir
