// header-label-affinity-scorer (alpha): prefers endpoints one of whose labels equals a request
// header.
//
// Formula: 1 when they are equal, else 0.
// Inputs: the header (absent: 0 for all) and the label (absent: 0).
// Parameters: headerName, labelKey (both required).
//
//   - type: header-label-affinity-scorer
//     parameters: {headerName: x-tier, labelKey: tier}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType header_label_affinity_scorer_plugin();

}  // namespace kvasir
