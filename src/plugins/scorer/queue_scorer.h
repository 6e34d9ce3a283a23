// queue-scorer: prefers endpoints with fewer requests waiting in their engine.
//
// Formula: (max - q) / (max - min) over the candidates' queues; all equal: 1 for all.
// Inputs: the engine's waiting requests. Not reported: 0, as upstream.
// Parameters: none.
//
//   - type: queue-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType queue_scorer_plugin();

}  // namespace kvasir
