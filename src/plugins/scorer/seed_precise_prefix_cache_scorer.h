// seed-precise-prefix-cache-scorer: prefers endpoints that hold enough of the prompt.
//
// Formula: min(cached, L) / min(prompt, L) tokens, L = maxPrefixLength; 0 when that is below
//   cacheHitThreshold.
// Intent: the PrecisePrefixCacheScorer of the first design. An endpoint whose KV events are heard
//   (--kv-events) is scored by what its engine says that it holds, any other by what it was sent.
// Inputs: a PrefixMatches producer; nothing known: 0.
// Parameters: cacheHitThreshold (0.5, from 0 to 1), maxPrefixLength (2048, tokens),
//   prefixMatchInfoProducerName (the only one there is).
//
//   - type: seed-precise-prefix-cache-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType seed_precise_prefix_cache_scorer_plugin();

}  // namespace kvasir
