#include "plugins/filter/prefix_cache_affinity_filter.h"

#include <algorithm>
#include <limits>

#include "base/parameters.h"
#include "base/random.h"

namespace kvasir {
namespace {

struct PrefixCacheAffinityFilterSettings {
  double threshold = 0.8;
  double exploration = 0;
  double penalty_ms_max = 18'000;
  double tokens_per_second = 15'928;
};

class PrefixCacheAffinityFilter final : public Filter {
 public:
  PrefixCacheAffinityFilter(PrefixCacheAffinityFilterSettings settings, uint64_t seed,
                            const PrefixMatches& matches, const InflightLoads& loads)
      : settings_(settings), seed_(seed), matches_(matches), loads_(loads) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    if (candidates.size() <= 1 || settings_.threshold <= 0 || explores(cycle.request)) return;
    double best_sticky = std::numeric_limits<double>::infinity();
    double best_other = best_sticky;
    for (const EndpointId id : candidates) {
      double& best = sticky(cycle.request, id) ? best_sticky : best_other;
      best = std::min(best, ttft_ms(id));
    }
    if (best_sticky == std::numeric_limits<double>::infinity()) return;
    const bool too_busy =
        settings_.penalty_ms_max > 0 && best_sticky - best_other > settings_.penalty_ms_max;
    if (!too_busy)
      std::erase_if(candidates, [&](EndpointId id) { return !sticky(cycle.request, id); });
  }

 private:
  // The same request decides alike, so that the filter needs no state.
  bool explores(const Request& request) const {
    return Random(mix64(seed_ ^ request.id)).uniform() < settings_.exploration;
  }
  bool sticky(const Request& request, EndpointId id) const {
    return matches_.match().share(request, id) >= settings_.threshold;
  }
  double ttft_ms(EndpointId id) const {
    const auto tokens = static_cast<double>(loads_.loads()[index_of(id)].tokens);
    return tokens / settings_.tokens_per_second * 1000;
  }

  const PrefixCacheAffinityFilterSettings settings_;
  const uint64_t seed_;
  const PrefixMatches& matches_;
  const InflightLoads& loads_;
};

MadePlugin make_prefix_cache_affinity_filter(std::string_view name, const Value& value,
                                             PluginContext& context) {
  Parameters parameters(value, name);
  PrefixCacheAffinityFilterSettings settings;
  settings.threshold = parameters.number("affinityThreshold", settings.threshold, 0, 1);
  settings.exploration = parameters.number("explorationProbability", 0, 0, 1);
  settings.penalty_ms_max = parameters.number("maxTTFTPenaltyMs", settings.penalty_ms_max);
  settings.tokens_per_second =
      parameters.number("peakPrefillThroughput", settings.tokens_per_second, 1e-9);
  const std::string source = parameters.choice("ttftSource", "prefillThroughput",
                                               {"prefillThroughput", "latencyPredictor"});
  if (source == "latencyPredictor") {
    parameters.fail("ttftSource",
                    "latencyPredictor needs a trained latency model, which is not built");
  }
  const std::string match_producer = parameters.text("prefixMatchInfoProducerName", "");
  const std::string load_producer = parameters.text("inFlightLoadProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(match_producer);
  if (!matches) return matches.error();
  const Result<InflightLoads*> loads = context.find<InflightLoads>(load_producer);
  if (!loads) return loads.error();
  return make_plugin<PrefixCacheAffinityFilter>(settings, context.seed(), **matches, **loads);
}

}  // namespace

PluginType prefix_cache_affinity_filter_plugin() {
  return {"prefix-cache-affinity-filter", make_prefix_cache_affinity_filter};
}

}  // namespace kvasir
