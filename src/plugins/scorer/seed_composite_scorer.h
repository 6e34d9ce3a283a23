// seed-composite-scorer: cache, load and latency in one score, each behind a gate.
//
// Formula: 0.5 * cache + 0.3 * load + 0.2 * latency, where
//   cache is the share of the prompt cached there when it is above cacheHitThreshold, else 0;
//   load is 1 - q / maxQueueLength, 0 from maxQueueLength on;
//   latency is 1 - p99 / maxLatencyMs, 0 from maxLatencyMs on.
// Intent: the composite of the first design with its gates (queue < 10, cache > 50 %, P99 < 500
//   ms). It gives no formulas for the three parts; these are linear.
// Inputs: a PrefixMatches producer (nothing known: cache 0); the engine's waiting requests (not
//   reported: 0); the endpoint's attribute latencyAttribute in milliseconds (not reported: latency
//   0).
// Parameters: cacheWeight (0.5), loadWeight (0.3), latencyWeight (0.2), cacheHitThreshold (0.5),
//   maxQueueLength (10), maxLatencyMs (500), latencyAttribute (latency-p99-ms),
//   prefixMatchInfoProducerName (the only one there is).
//
//   - type: seed-composite-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType seed_composite_scorer_plugin();

}  // namespace kvasir
