// static-usage-limit-policy, priority-holdback-policy (alpha) and soft-reflective-ceiling-policy
// (alpha): up to which saturation of the pool a priority band may send.
//
// Formula of static-usage-limit-policy: threshold, for every band. Of priority-holdback-policy: the
//   highest band has maxCeiling, the lowest minCeiling, those between lie on the line between them:
//   by their place (domain rank) or by their priority (domain value). A band alone has maxCeiling.
//   Of soft-reflective-ceiling-policy: of n bands the one at place i, from 0, has 1 while the
//   saturation s is below 1 - i s / (n - 1); from there on it has 1 for one of round(s / (1 - s))
//   chances to send and 0 for the others, and 0 when s is 1. All bands that are held back so have
//   their chances together, or the higher would starve the lower. The highest band always has 1.
// Inputs: the priorities of the bands; of soft-reflective-ceiling-policy the saturation, and how
//   often somebody could have been sent.
// Parameters: threshold (1.0); minCeiling (required), maxCeiling (1), domain rank|value (rank), shape
//   linear (linear); soft-reflective-ceiling-policy has none.
//
//   - type: priority-holdback-policy
//     parameters: {minCeiling: 0.7}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType static_usage_limit_policy_plugin();
PluginType priority_holdback_policy_plugin();
PluginType soft_reflective_ceiling_policy_plugin();

}  // namespace kvasir
