// round-robin: every endpoint in turn.
//
// Formula: of the candidates, the one with the fewest turns so far; ties in order of their ids,
//   after the last pick. When nothing is excluded that is 0, 1, 2, ...; an endpoint passed over
//   because a retry excluded it catches up at once, so shares stay within one of each other.
// Intent: the baseline every other policy is compared with.
// Inputs: none of the request. An unhealthy endpoint saves up no turns: it comes back level with
//   the others.
#pragma once

#include <memory>

#include "scheduling/policy.h"

namespace kvasir {

std::unique_ptr<Policy> make_round_robin_policy(size_t endpoints);

}  // namespace kvasir
