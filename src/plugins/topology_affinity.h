// topology-affinity-scorer and topology-affinity-filter (alpha): prefer endpoints near the one that
// an earlier profile chose, so that a KV cache travels a short way.
//
// Formula: the closest of these that both are in: same host 1.0, rack 0.2, zone 0.05, region 0.02,
//   else 0. The filter keeps those at least as near as minAffinity; when nobody is, everyone stays.
// Inputs: the first choice of the profile that ran before (none: 0 for all, and everyone stays),
//   and the labels kubernetes.io/hostname, topology.kubernetes.io/rack, zone and region; a label
//   that is absent never equals another.
// Parameters of the filter: minAffinity (host; rack, zone or region). topologyProducerName is
//   accepted and without effect.
//
//   - type: topology-affinity-filter
//     parameters: {minAffinity: rack}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType topology_affinity_scorer_plugin();
PluginType topology_affinity_filter_plugin();

}  // namespace kvasir
