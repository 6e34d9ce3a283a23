// global-strict-fairness-policy and round-robin-fairness-policy: which tenant of a priority band
// goes next.
//
// Formula: global-strict-fairness-policy takes whoever has the first request of all by the band's
//   order; tenants do not matter. round-robin-fairness-policy takes the tenant whose id comes after
//   that of the last one, in each band by itself; tenants with nobody waiting are passed over.
// Inputs: the heads of the flows.
// Parameters: none.
//
//   - type: round-robin-fairness-policy
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType global_strict_fairness_policy_plugin();
PluginType round_robin_fairness_policy_plugin();

}  // namespace kvasir
