// prefix-cache-affinity-filter: keeps the endpoints that have most of the prompt cached, unless
// they are too busy.
//
// Formula: sticky endpoints are those with match / total >= affinityThreshold; they stay alone.
//   Everyone stays when there is none, or when the least TTFT of a sticky one exceeds the least
//   TTFT of another by more than maxTTFTPenaltyMs, or with explorationProbability. TTFT in ms =
//   tokens in flight there / peakPrefillThroughput * 1000.
// Inputs: a PrefixMatches and an InflightLoads producer, each made with its defaults when none is
// configured.
// Parameters: affinityThreshold (0.8; 0: no filtering), explorationProbability (0),
//   maxTTFTPenaltyMs (18000; 0: no limit), peakPrefillThroughput (15928 tokens a second),
//   ttftSource (prefillThroughput; latencyPredictor is refused), prefixMatchInfoProducerName,
//   inFlightLoadProducerName (the only one there is).
//
//   - type: prefix-cache-affinity-filter
//     parameters: {affinityThreshold: 0.8, maxTTFTPenaltyMs: 5000}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType prefix_cache_affinity_filter_plugin();

}  // namespace kvasir
