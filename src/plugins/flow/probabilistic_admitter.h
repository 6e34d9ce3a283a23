// probabilistic-admitter: refuses sheddable requests the more often the fuller the pool is.
//
// Formula: a request of priority < 0 is refused with probability min(saturation^power x k, 1);
//   saturation is the mean over the candidates of max(waiting / queueDepthThreshold, kv usage /
//   kvCacheUtilThreshold).
// Inputs: the engine's waiting requests and KV usage; an endpoint that reported neither is
//   saturated (1).
// Parameters: queueDepthThreshold (5), kvCacheUtilThreshold (.8), power (5), k (300).
//
//   - type: probabilistic-admitter
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType probabilistic_admitter_plugin();

}  // namespace kvasir
