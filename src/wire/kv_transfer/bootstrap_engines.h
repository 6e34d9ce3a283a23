// What the bootstrap server of a Mooncake prefill worker answers to GET /query: which engine runs
// at each data-parallel rank.
//
//   {"0":{"engine_id":"8f0c..."},"1":{"engine_id":"a71e..."}}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct PrefillEngine {
  std::string id;
  uint32_t rank = 0;  // data-parallel
};

// At least one, in the answer's order. An error says what is missing.
Result<std::vector<PrefillEngine>> read_bootstrap_engines(std::string_view answer);

}  // namespace kvasir
