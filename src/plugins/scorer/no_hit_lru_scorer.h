// no-hit-lru-scorer: sends prompts that nobody has cached to the endpoint that got none for
// longest.
//
// Formula, n candidates: some candidate has a block of the prompt: 0.5 for all. Else, n = 1: 1; the
//   i-th candidate that never got such a prompt: 1 - i / (n - 1); one that did: 1 - (never +
//   position) / (n - 1), at least 0, with position 0 for the one that got none for longest.
// Intent: prefixes spread evenly over the caches.
// Inputs: a PrefixMatches producer; approx-prefix-cache-producer when none is configured. Remembers
//   the endpoints of every profile that chose for a cold request.
// Parameters: lruSize (1024): endpoints remembered; prefixMatchInfoProducerName (the only one there
//   is); prefixPluginType and prefixPluginName are accepted and without effect.
//
//   - type: no-hit-lru-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType no_hit_lru_scorer_plugin();

}  // namespace kvasir
