// How much an index holds in how little memory, and how fast a holder's clear is seen.
//
// The chains of a trace, again and again with other contents under another salt. Each prompt is
// kept by the holder that has most of it, and by another one at random, as fleets with a router
// that knows do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "index/cache_workload.h"
#include "kvindex/block_index.h"

namespace kvasir {

struct CapacityOptions {
  uint32_t holders = 1'000;
  uint64_t memberships = 30'000'000;
  uint64_t distinct = 10'000'000;  // at least; never cut short by `memberships`
  uint32_t prompts_checked = 3'000;
  uint32_t clears = 300;
};

// Which blocks a holder gets, and has from then on.
struct KeptChain {
  uint64_t begin = 0;  // of the whole chain, in the columns
  uint32_t blocks = 0;
  uint32_t from = 0;  // what is before it the holder has already
  uint32_t holder = 0;
};

struct CapacityWorkload {
  CacheWorkload columns;  // contents, engine hashes and hashes alone
  std::vector<KeptChain> chains;
  uint64_t memberships = 0, distinct = 0;
  uint32_t salts = 0;
};

CapacityWorkload make_capacity_workload(std::span<const TraceRow> rows,
                                        const CapacityOptions& options);

// In a process of its own: bytes, what the index says of itself, what it got wrong, and times.
nlohmann::json measure_capacity(
    const CapacityWorkload& workload, const CapacityOptions& options,
    const std::function<std::unique_ptr<BlockIndex>(const BlockIndexOptions&)>& make);

}  // namespace kvasir
