// concurrency-detector: how full the pool is by what this process has in flight there. Also a
// filter.
//
// Formula: requests: all in flight / (maxConcurrency x endpoints); tokens: all tokens in flight /
// (maxTokenConcurrency
//   x endpoints); hybrid: the mean over the endpoints of the larger of its two shares. May exceed
//   1; no endpoint: 1. As a filter: keeps endpoints whose own share is below 1 + headroom, perhaps
//   none.
// Inputs: an InflightLoads producer (made when none is configured).
// Parameters: concurrencyMode requests|tokens|hybrid (requests), maxConcurrency (100),
// maxTokenConcurrency (1000000),
//   headroom (0), inFlightLoadProducerName (the only one there is).
//
//   - type: concurrency-detector
//     parameters: {maxConcurrency: 64}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType concurrency_detector_plugin();

}  // namespace kvasir
