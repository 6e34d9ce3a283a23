// round-robin-picker (alpha): every endpoint in turn. Upstream does not have it; it is the policy
// round-robin.
//
// Formula: of the candidates, the one with the fewest turns so far; ties in order of their ids,
//   after the last pick. When nothing is excluded that is 0, 1, 2, ...; an endpoint passed over
//   because a retry excluded it catches up at once, so shares stay within one of each other.
// Intent: the baseline every other policy is compared with. For profiles of filters: scores do not
//   count.
// Inputs: none of the request. An unhealthy endpoint saves up no turns: it comes back level with
//   the others; so does one where something failed lately.
// Parameters: none.
//
//   - type: round-robin-picker
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType round_robin_picker_plugin();

}  // namespace kvasir
