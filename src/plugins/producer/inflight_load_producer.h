// inflight-load-producer: what this process and its replicas have in flight on each endpoint.
//
// Formula: a pick adds to each endpoint it names one request and the prompt tokens not cached
//   there; the tokens go at the first byte of the answer, the request at its end. An endpoint that
//   prefills apart is released when its leg is over, where that is known (a gateway that carries
//   both legs); else with the others. What is released is what was booked. To that comes what the
//   other replicas of the picker say they have in flight, when there are some (--peers) and
//   syncCrossReplicaState is true.
// Inputs: a PrefixMatches producer for what is cached; when there is none, the whole prompt counts.
//   When the first byte is not seen the tokens go at the end.
// Parameters: addEstimatedOutputTokens (false) adds min(prompt * outputRatio (1.5),
//   maxEstimatedOutputTokens (no limit)) tokens; prefixMatchInfoProducerName (the only one there
//   is); syncCrossReplicaState (true): tell the other replicas, and listen to them.
//
//   - type: inflight-load-producer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType inflight_load_producer_plugin();

}  // namespace kvasir
