// What a fleet of engines says of its caches while it serves a trace, and the prompts that are
// looked up meanwhile: made before any clock starts, the same for the same options.
//
// A block of the trace (512 tokens) becomes 32 blocks of 16, with contents of their own. Requests
// are routed to where most of their prompt is and little waits; a share goes round robin, so that
// caches share prefixes. Each cache is a SimulatedCache; prompts are computed in chunks, answers
// block by block, requests of one engine at the same time. The rows are repeated, each time as
// other users with other texts, until there are enough block operations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvindex/block_index.h"
#include "wire/mooncake_trace.h"

namespace kvasir {

struct CacheWorkloadOptions {
  static constexpr uint32_t kWorkersMost = 128;

  uint32_t workers = 128;
  uint32_t blocks_of_worker = 16'384;
  // Block operations after the fleet's caches are nearly full.
  uint64_t operations = 8'000'000;
  uint32_t prompt_blocks_max = 8'192;
  uint32_t chunk_blocks = 128;  // of a prompt that an engine computes in one step
  uint32_t round_robin_one_in = 4;
  uint32_t odd_eviction_one_in = 50;
  uint32_t clear_every_requests = 4'000;  // an engine starts anew; 0: never
  uint32_t requests_of_worker = 6;        // at the same time, about
  uint32_t engine_seeds = 1;  // workers with another seed call the same blocks by other names
  uint64_t seed = 1;
};

struct CacheEvent {
  enum class Kind : uint8_t { kStore, kRemove, kClear };

  uint64_t value = 0;  // kStore: where its blocks begin in the columns; kRemove: the engine hash
  uint32_t blocks = 0;
  uint16_t worker = 0;
  Kind kind = Kind::kStore;
  bool first = false;  // kStore: begins a sequence
};

struct PromptLookup {
  uint64_t operations = 0;  // that come before it
  uint64_t begin = 0;       // in the columns
  uint32_t blocks = 0;
  uint32_t with_answer = 0;  // blocks of the prompt and of the answer that follows
};

struct CacheWorkload {
  // The columns: what is known of each block of each sequence. Before the first block of a sequence
  // is its root, in `hashes`.
  std::vector<uint64_t> contents, engine_hashes;
  std::vector<BlockHash> hashes;

  std::vector<CacheEvent> events;
  // One engine's step, as one message of events: where each ends among the events.
  std::vector<uint64_t> batch_ends;
  std::vector<PromptLookup> lookups;  // in order

  // Before that batch the caches were being filled.
  size_t warm_batches = 0;
  uint64_t warm_operations = 0;
  uint64_t operations = 0;  // all of them
  uint64_t requests = 0;
  uint64_t hit_blocks = 0, prompt_blocks = 0;

  StoredBlocks stored(const CacheEvent& event) const {
    StoredBlocks blocks;
    blocks.holder = HolderId{event.worker};
    if (!event.first) blocks.parent = engine_hashes[event.value - 1];
    blocks.root = event.first ? hashes[event.value - 1] : 0;
    blocks.engine_hashes = {engine_hashes.data() + event.value, event.blocks};
    blocks.contents = {contents.data() + event.value, event.blocks};
    return blocks;
  }
  std::span<const BlockHash> prompt(const PromptLookup& lookup) const {
    return {hashes.data() + lookup.begin, lookup.blocks};
  }
};

// What the caches have after all events.
struct HeldBlocks {
  uint64_t memberships = 0, distinct = 0;
};
HeldBlocks count_held(const CacheWorkload& workload, uint32_t workers);

// Block operations: blocks stored or removed. A clear counts as none.
constexpr uint64_t operations_of(const CacheEvent& event) {
  return event.kind == CacheEvent::Kind::kClear ? 0 : event.blocks;
}

// The blocks of one row appended to the columns, its root before them: the prompt's full blocks and
// then those that its answer fills, with the names of engines of seed 0. Answers where they begin.
struct RowBlocks {
  uint64_t begin = 0;
  uint32_t prompt = 0, all = 0;
};
RowBlocks append_row(CacheWorkload& workload, const TraceRow& row, uint64_t row_number,
                     uint64_t repetition, uint32_t prompt_blocks_max);

// Precondition: rows is not empty.
CacheWorkload make_cache_workload(std::span<const TraceRow> rows,
                                  const CacheWorkloadOptions& options);

}  // namespace kvasir
