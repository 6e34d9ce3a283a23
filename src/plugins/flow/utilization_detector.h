// utilization-detector: how full the pool is by what its engines report. Also a filter.
//
// Formula: endpoint = max(waiting / queueDepthThreshold, kv usage / kvCacheUtilThreshold); the pool
// is their mean. An
//   endpoint whose metrics are older than metricsStalenessThreshold, or that reported nothing,
//   is 1. No endpoint: 1. As a filter: keeps endpoints that are fresh and below both thresholds
//   times (1 + headroom); all when none is.
// Inputs: the engine's waiting requests and KV usage, and when they were read.
// Parameters: queueDepthThreshold (5), kvCacheUtilThreshold (.8), metricsStalenessThreshold
// (200ms), headroom (0).
//
//   - type: utilization-detector
//     parameters: {queueDepthThreshold: 10}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType utilization_detector_plugin();

}  // namespace kvasir
