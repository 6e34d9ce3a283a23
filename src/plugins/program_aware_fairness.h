// program-aware-fairness: least attained service. The tenant that got least goes next, with a share
// for who waits longest.
//
// Formula: argmax over the tenants of .8 x (1 - service / most service) + .2 x (wait of its head /
// longest wait), ties
//   to the one that waits longest. service: the sum over its ended requests of prompt + 2 x output
//   tokens, halved every 60 s. "Most" and "longest" are over the tenants that wait now.
// Inputs: the tokens that ended requests took; unknown ones count 0.
// Parameters: none. A tenant is forgotten when its service has decayed to less than one token.
//
//   - type: program-aware-fairness
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType program_aware_fairness_plugin();

}  // namespace kvasir
