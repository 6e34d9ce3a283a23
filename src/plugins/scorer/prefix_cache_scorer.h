// prefix-cache-scorer: prefers endpoints that hold more of the prompt in their KV cache.
//
// Formula: (1 - w) * match / total + w * min(1, match * blockSize / scale)^2, match and total in
// blocks.
// Intent: the second term lets long matches count for more than long shares of short prompts.
// Inputs: a PrefixMatches producer; approx-prefix-cache-producer when none is configured. A prompt
//   of which nothing is known (no full block): 0 for all.
// Parameters: matchLengthWeight w (0, from 0 to 1), matchLengthScaleTokens (8192),
//   prefixMatchInfoProducerName (the only one there is).
//
//   - type: prefix-cache-scorer
//     parameters: {matchLengthWeight: 0.5}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType prefix_cache_scorer_plugin();

}  // namespace kvasir
