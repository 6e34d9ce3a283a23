// token-load-scorer: prefers endpoints with fewer prompt tokens still to prefill.
//
// Formula: 1 - min(load, t) / t, load = tokens in flight there + tokens of this request that are
//   not cached there, t = queueThresholdTokens.
// Inputs: the tokens in flight of an InflightLoads producer, made with its defaults when none is
//   configured; what is cached from a PrefixMatches producer; when there is none, the whole prompt
//   counts.
// Parameters: queueThresholdTokens (4194304), inFlightLoadProducerName, prefixMatchInfoProducerName
//   (the only one there is).
//
//   - type: token-load-scorer
//     parameters: {queueThresholdTokens: 65536}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType token_load_scorer_plugin();

}  // namespace kvasir
