// active-request-scorer: prefers endpoints to which this process has fewer requests in flight.
//
// Formula: n <= idleThreshold: 1; else (max - n) / max * maxBusyScore, max over the candidates.
// Intent: its counts are never stale, so a burst spreads although no metric has moved yet.
// Inputs: the requests in flight of an InflightLoads producer; made with its defaults when none is
// configured.
// Parameters: idleThreshold (0), maxBusyScore (1, from 0 to 1), inFlightLoadProducerName (the only
//   one there is); requestTimeout is accepted and without effect.
//
//   - type: active-request-scorer
//     parameters: {idleThreshold: 2, maxBusyScore: 0.8}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType active_request_scorer_plugin();

}  // namespace kvasir
