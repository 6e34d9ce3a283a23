// program-aware-fairness: least attained service. The tenant that got least goes next, with a share
// for who waits longest.
//
// Formula: argmax over the tenants of lasWeightService x (1 - service / most service) +
//   lasWeightHeadWait x (wait of its head / longest wait), ties to the one that waits longest.
//   service: the sum over its ended requests of prompt + 2 x output tokens, halved every
//   lasHalfLifeSeconds. "Most" and "longest" are over the tenants that wait now.
// Inputs: the tokens that ended requests took; unknown ones count 0.
// Parameters: strategy (las, the only one there is), lasWeightService (0.8), lasWeightHeadWait (0.2),
//   lasHalfLifeSeconds (60; 0: service never decays), evictionTtlSeconds (3600; 0: never): a tenant
//   none of whose requests ended for so long is forgotten, at the latest when room is needed.
//   evictionSweepSeconds is accepted and without effect: a tenant's time is looked at when it counts.
//
//   - type: program-aware-fairness
//     parameters: {strategy: las, lasHalfLifeSeconds: 120}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType program_aware_fairness_plugin();

}  // namespace kvasir
