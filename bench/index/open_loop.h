// Events and lookups offered at a rate, whether the index keeps up or not: one thread writes, one
// looks prompts up, each on a core of its own.
//
// The caches are filled before the clock starts. Each batch of events and each lookup is due at a
// time that its place in the workload says; who is late does not move the others. A lookup's
// latency counts from when it was due. The time ends when all is written and tidy: what was still
// to do at the end of the window is the drain.
#pragma once

#include <cstdint>
#include <vector>

#include "index/cache_workload.h"
#include "index/contender.h"

namespace kvasir {

struct OfferedLoad {
  double rate = 0;  // block operations a second; 0: as fast as it can
  double window_s_most = 0.75;
};

struct OpenLoopResult {
  uint64_t operations = 0;
  double window_s = 0;                 // what the offered rate takes; without a rate: what it took
  double took_s = 0;                   // the drain included
  double cpu_s = 0;                    // of the writing thread; with a rate it waits in it too
  std::vector<uint32_t> latencies_ns;  // of lookups, from when each was due
  std::vector<uint32_t> services_ns;   // from when it began
};

// `index` has no holders yet.
OpenLoopResult run_open_loop(const CacheWorkload& workload, uint32_t workers,
                             const OfferedLoad& load, IndexContender& index);

// Of the calling thread.
double thread_cpu_s();

// Without a clock: some batches; and holders and the first batches.
void apply_batches(const CacheWorkload& workload, size_t first, size_t last, IndexContender& index);
void fill(const CacheWorkload& workload, uint32_t workers, size_t batches, IndexContender& index);

}  // namespace kvasir
