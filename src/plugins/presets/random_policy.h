// random: any candidate, each equally likely.
//
// Intent: a baseline, and the reference's choice among equals.
// Inputs: none. The same seed and the same calls give the same picks.
#pragma once

#include <memory>

#include "scheduling/policy.h"

namespace kvasir {

std::unique_ptr<Policy> make_random_policy(uint64_t seed);

}  // namespace kvasir
