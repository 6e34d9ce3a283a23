// load-aware-scorer: prefers endpoints with an empty or a short queue.
//
// Formula: q = 0: 0.5; else 0.5 * (1 - min(q, threshold) / threshold).
// Inputs: the engine's waiting requests. Not reported: 0, as upstream.
// Parameters: threshold (128): the queue from which on the score is 0.
//
//   - type: load-aware-scorer
//     parameters: {threshold: 10}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType load_aware_scorer_plugin();

}  // namespace kvasir
