// kv-cache-utilization-scorer: prefers endpoints with more of their KV cache free.
//
// Formula: 1 - usage.
// Inputs: the share of its KV cache that the engine reports in use. Not reported: 0, as upstream,
// so the score is 1.
// Parameters: none.
//
//   - type: kv-cache-utilization-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType kv_cache_utilization_scorer_plugin();

}  // namespace kvasir
