// utilization-filter (alpha): keeps endpoints that are below every one of some limits.
//
// Formula: for each condition, metric <= maxValue. With fallbackOnEmpty everyone stays when nobody
// would.
// Inputs: active-requests: requests in flight from this process (an InflightLoads producer, made
//   when none is configured); running-requests, waiting-queue, kv-cache-utilization: the engine's;
//   not reported: 0.
// Parameters: conditions (required), fallbackOnEmpty (false).
//
//   - type: utilization-filter
//     parameters:
//       conditions: [{metric: waiting-queue, maxValue: 8}, {metric: kv-cache-utilization, maxValue:
//       0.9}]
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType utilization_filter_plugin();

}  // namespace kvasir
