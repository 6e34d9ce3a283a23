// topology-affinity-scorer, topology-affinity-filter and topology-extractor (all alpha): prefer
// endpoints near the one that an earlier profile chose, so that a KV cache travels a short way. The
// extractor says which labels tell where an endpoint is.
//
// Formula: the closest of these that both are in: same host 1.0, rack 0.2, zone 0.05, region 0.02,
//   else 0. The filter keeps those at least as near as minAffinity; when nobody is, everyone stays.
// Inputs: the first choice of the profile that ran before (none: 0 for all, and everyone stays),
//   and the labels that the extractor names; a label that is absent never equals another.
// Parameters: topologyProducerName (the only topology-extractor there is; without one its
//   defaults). Of the filter: minAffinity (host; rack, zone or region). Of topology-extractor, the
//   names of labels: hostname (kubernetes.io/hostname), rack (topology.kubernetes.io/rack), zone
//   (topology.kubernetes.io/zone), region (topology.kubernetes.io/region).
//
//   - type: topology-extractor
//     parameters: {rack: example.com/rack}
//   - type: topology-affinity-filter
//     parameters: {minAffinity: rack}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType topology_affinity_scorer_plugin();
PluginType topology_affinity_filter_plugin();
PluginType topology_extractor_plugin();

}  // namespace kvasir
