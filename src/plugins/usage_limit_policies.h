// static-usage-limit-policy and priority-holdback-policy (alpha): up to which saturation of the
// pool a priority band may send.
//
// Formula of static-usage-limit-policy: threshold, for every band. Of priority-holdback-policy: the
// highest band has
//   maxCeiling, the lowest minCeiling, those between lie on the line between them: by their place
//   (domain rank) or by their priority (domain value). A band alone has maxCeiling.
// Inputs: the priorities of the bands.
// Parameters: threshold (1.0); minCeiling (required), maxCeiling (1), domain rank|value (rank),
// shape linear (linear).
//
//   - type: priority-holdback-policy
//     parameters: {minCeiling: 0.7}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType static_usage_limit_policy_plugin();
PluginType priority_holdback_policy_plugin();

}  // namespace kvasir
