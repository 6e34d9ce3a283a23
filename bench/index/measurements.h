// What is measured of a contender, each in a process of its own.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "index/cache_workload.h"
#include "index/contender.h"
#include "index/open_loop.h"

namespace kvasir {

// One trial at a rate: operations, window_s, took_s, latencies_ns, services_ns.
nlohmann::json measure_load(const CacheWorkload& workload, uint32_t workers,
                            const ContenderKind& kind, const OfferedLoad& load);

// Block operations a second that are kept up with: at least 99 % of them done in their window, the
// drain included; the next rate that was tried is at most 10 % higher and was too much. Answers
// {"ceiling", "unbounded", "unbounded_per_cpu_s", "trials"}: what it does unbounded is where the
// search starts.
nlohmann::json find_ceiling(const CacheWorkload& workload, uint32_t workers,
                            const ContenderKind& kind);

// {"per_cpu_s"}: block operations after filling, by one thread without lookups.
nlohmann::json measure_applying(const CacheWorkload& workload, uint32_t workers,
                                const ContenderKind& kind);

// {"bytes"}: memory after all events.
nlohmann::json measure_memory(const CacheWorkload& workload, uint32_t workers,
                              const ContenderKind& kind);

// Lookups of prompts of 128k tokens, hashed before, in a full index: {"same_ns", "others_ns"},
// of the same prompt again and again, and of 64 in turn.
nlohmann::json measure_long_prompts(const CacheWorkload& workload, uint32_t workers,
                                    const ContenderKind& kind);

// {"ns"}: what hashing 128k tokens takes, each time.
nlohmann::json measure_hashing();

}  // namespace kvasir
