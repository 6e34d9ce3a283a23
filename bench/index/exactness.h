// Whether an index answers as the slow and obvious one does.
#pragma once

#include <cstdint>
#include <string>

#include "index/cache_workload.h"
#include "index/contender.h"

namespace kvasir {

struct Exactness {
  uint64_t operations = 0, lookups = 0, matches = 0;
  uint64_t differences = 0;  // lookups with another answer
  std::string first_difference;
};

// Gives both the first events of the workload, as many as make `operations_max`, and asks both for
// every prompt as it arrives and, all the time, for those that came lately, with their answers:
// which are about to be evicted piece by piece.
Exactness check_exactness(const CacheWorkload& workload, uint32_t workers, uint64_t operations_max,
                          IndexContender& index, IndexContender& oracle);

}  // namespace kvasir
