// running-requests-size-scorer: prefers endpoints with fewer requests in their batch.
//
// Formula: (max - r) / (max - min) over the requests the candidates run; all equal: 1 for all.
// Inputs: the engine's running requests. Not reported: 0, as upstream.
// Parameters: none.
//
//   - type: running-requests-size-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType running_requests_size_scorer_plugin();

}  // namespace kvasir
