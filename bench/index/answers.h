// A workload and one index's answers as text, for a comparison with indexes that are not in this
// program (dynamo_oracle.py). One line each:
//
//   S WORKER PARENT NAME:CONTENT...   blocks stored; PARENT: the engine hash before, - for none
//   R WORKER NAME                     a block removed
//   C WORKER                          all removed
//   L CONTENT... = WORKER:BLOCKS...   a prompt, and who has how many leading blocks of it
#pragma once

#include <cstdint>
#include <cstdio>

#include "index/cache_workload.h"
#include "index/contender.h"

namespace kvasir {

// `index` has no holders yet.
void print_answers(const CacheWorkload& workload, uint32_t workers, IndexContender& index,
                   std::FILE* out);

}  // namespace kvasir
