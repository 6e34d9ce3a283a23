// The seed's filters and scorers in the words of llm-d's configuration.
//
//   DecodeFilter, PrefillFilter  decode-filter, prefill-filter
//   ByLabelSelector              label-selector-filter, the same parameters
//   LoadAwareScorer              seed-load-aware-scorer {queueLengthWeight, gpuUtilWeight,
//   maxQueueLength} ActiveRequestScorer          active-request-scorer, the same parameters
//   SessionAffinity              session-affinity-scorer {strategy: session_id, evictionTtlSeconds}
//   PrecisePrefixCacheScorer     seed-precise-prefix-cache-scorer {cacheHitThreshold, maxPrefixLength}
//   KVCacheManagerScorer         seed-kv-cache-manager-scorer {endpoint, timeout, cacheThreshold}
//   CompositeScorer              seed-composite-scorer {cacheWeight, loadWeight, latencyWeight,
//   maxQueueLength, (also DynamicRouting)          cacheHitThreshold, maxLatencyMs}: 0.5 cache + 0.3 load +
//   0.2 latency behind three gates
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/config_reading.h"

namespace kvasir {

struct SeedTranslation {
  std::string type;
  Value parameters;
  std::string note;
};

// Nullopt when the seed has no such name. Problems of `args` go to `errors`.
std::optional<SeedTranslation> translate_seed_plugin(std::string_view name, const Value& args,
                                                     std::vector<Remark>& errors);

std::vector<std::string_view> seed_plugin_names();

}  // namespace kvasir
