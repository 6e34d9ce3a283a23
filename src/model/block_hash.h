// The hash of a block of a prompt together with everything before it: equal hashes mean equal prefixes.
#pragma once

#include <cstdint>

namespace kvasir {

using BlockHash = uint64_t;

}  // namespace kvasir
