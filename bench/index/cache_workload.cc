#include "index/cache_workload.h"

#include <algorithm>
#include <array>
#include <deque>

#include "hashing/token_blocks.h"
#include "index/simulated_cache.h"

namespace kvasir {
namespace {

constexpr uint32_t kBlockTokens = 16;
constexpr uint32_t kParts = kMooncakeBlockTokens / kBlockTokens;

// Engines with another seed call the same block by another name.
uint64_t engine_name(BlockHash hash, uint64_t seed) {
  return mix64(hash ^ (seed == 0 ? 0 : mix64(seed)));
}

// Which workers have the first part of a block of the trace.
using Workers = std::array<uint64_t, CacheWorkloadOptions::kWorkersMost / 64>;

struct ActiveRequest {
  RowBlocks row;
  uint32_t done = 0;                // blocks that are computed, or were found
  std::vector<uint32_t> physicals;  // of each of them
};

struct Worker {
  SimulatedCache cache;
  std::vector<ActiveRequest> active;
  std::deque<RowBlocks> waiting;
  uint64_t promised_blocks = 0;  // that active requests will still take
  uint64_t load = 0;             // blocks that are still to be computed, of waiting ones too
};

class FleetOfCaches {
 public:
  FleetOfCaches(std::span<const TraceRow> rows, const CacheWorkloadOptions& options)
      : rows_(rows), options_(options), random_(options.seed) {
    for (uint32_t i = 0; i < options.workers; ++i) {
      workers_.push_back({SimulatedCache(options.blocks_of_worker, options.odd_eviction_one_in,
                                         mix64(options.seed + i)),
                          {},
                          {},
                          0,
                          0});
    }
  }

  CacheWorkload run();

 private:
  void arrive();
  uint32_t route(const RowBlocks& row);
  void step(uint32_t number);
  void admit_waiting(Worker& worker);
  void advance(uint32_t number, ActiveRequest& request);
  void finish(Worker& worker, ActiveRequest& request);
  void restart(uint32_t number);
  void emit(CacheEvent event);
  void evicted(uint32_t number, const SimulatedCache::Taken& taken);
  void note_held(uint32_t number, BlockHash hash);
  void note_gone(uint32_t number, BlockHash hash);
  uint64_t engine_seed(uint32_t number) const { return number % options_.engine_seeds; }

  const std::span<const TraceRow> rows_;
  const CacheWorkloadOptions& options_;
  Random random_;
  std::vector<Worker> workers_;
  WordMap<Workers> holders_;  // of the first part of each block of the trace
  WordMap<char> heads_;
  CacheWorkload made_;
  uint64_t held_ = 0;  // memberships
  uint64_t next_row_ = 0;
};

CacheWorkload FleetOfCaches::run() {
  const uint64_t full = uint64_t{options_.workers} * options_.blocks_of_worker / 10 * 9;
  // A request takes about this many steps: its prompt's chunks and then its answer's blocks.
  uint64_t steps = 0;
  for (const TraceRow& row : rows_) {
    steps += row.input_length / kBlockTokens / options_.chunk_blocks + 1;
    steps += row.output_length / kBlockTokens + 1;
  }
  const double arrivals = static_cast<double>(options_.workers) * options_.requests_of_worker *
                          static_cast<double>(rows_.size()) / static_cast<double>(steps);
  for (double due = 0;; due += arrivals) {
    for (; due >= 1; due -= 1) arrive();
    for (uint32_t i = 0; i < workers_.size(); ++i) step(i);
    if (made_.warm_batches == 0 && held_ >= full) {
      made_.warm_batches = made_.batch_ends.size();
      made_.warm_operations = made_.operations;
    }
    if (made_.warm_batches > 0 && made_.operations >= made_.warm_operations + options_.operations) {
      return std::move(made_);
    }
  }
}

void FleetOfCaches::arrive() {
  const TraceRow& row = rows_[next_row_ % rows_.size()];
  // Engine hashes depend on the worker, which depends on the blocks: made first with seed 0.
  const RowBlocks blocks =
      append_row(made_, row, next_row_, next_row_ / rows_.size(), options_.prompt_blocks_max);
  ++next_row_;
  if (blocks.prompt == 0) return;
  const uint32_t number = route(blocks);
  if (engine_seed(number) != 0) {
    for (uint32_t i = 0; i < blocks.all; ++i) {
      made_.engine_hashes[blocks.begin + i] =
          engine_name(made_.hashes[blocks.begin + i], engine_seed(number));
    }
  }
  for (uint32_t i = 0; i < blocks.prompt; i += kParts) heads_.at(made_.hashes[blocks.begin + i]);
  made_.lookups.push_back({made_.operations, blocks.begin, blocks.prompt, blocks.all});
  ++made_.requests;
  made_.prompt_blocks += blocks.prompt;
  workers_[number].waiting.push_back(blocks);
  workers_[number].load += blocks.all;
  if (options_.clear_every_requests > 0 && made_.requests % options_.clear_every_requests == 0) {
    restart(static_cast<uint32_t>(random_.below(workers_.size())));
  }
}

// The worker with the fewest blocks to compute before this prompt is done, its own included.
uint32_t FleetOfCaches::route(const RowBlocks& row) {
  const auto count = static_cast<uint32_t>(workers_.size());
  if (random_.below(options_.round_robin_one_in) == 0) {
    return static_cast<uint32_t>(made_.requests % count);
  }
  std::array<uint32_t, CacheWorkloadOptions::kWorkersMost> found{};
  Workers active;
  active.fill(~uint64_t{0});
  for (uint32_t i = 0; i < row.prompt; i += kParts) {
    const Workers* has = holders_.find(made_.hashes[row.begin + i]);
    if (has == nullptr) break;
    for (size_t word = 0; word < active.size(); ++word) {
      active[word] &= (*has)[word];
      for (uint64_t left = active[word]; left != 0; left &= left - 1) {
        found[word * 64 + static_cast<size_t>(__builtin_ctzll(left))] =
            std::min(i + kParts, row.prompt);
      }
    }
  }
  const auto first = static_cast<uint32_t>(random_.below(count));
  uint32_t best = first;
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t number = (first + i) % count;
    const uint64_t cost = row.all - found[number] + workers_[number].load;
    if (cost >= least) continue;
    least = cost;
    best = number;
  }
  return best;
}

void FleetOfCaches::step(uint32_t number) {
  Worker& worker = workers_[number];
  admit_waiting(worker);
  if (worker.active.empty()) return;
  const size_t before = made_.events.size();
  for (ActiveRequest& request : worker.active) advance(number, request);
  std::erase_if(worker.active, [&](ActiveRequest& request) {
    if (request.done < request.row.all) return false;
    finish(worker, request);
    return true;
  });
  if (made_.events.size() > before) made_.batch_ends.push_back(made_.events.size());
}

void FleetOfCaches::admit_waiting(Worker& worker) {
  while (!worker.waiting.empty()) {
    const RowBlocks row = worker.waiting.front();
    if (worker.promised_blocks + row.all > worker.cache.free_blocks()) return;
    worker.waiting.pop_front();
    ActiveRequest request{row, 0, {}};
    while (request.done < row.prompt) {
      const auto found = worker.cache.hit(made_.hashes[row.begin + request.done]);
      if (!found) break;
      request.physicals.push_back(*found);
      ++request.done;
    }
    made_.hit_blocks += request.done;
    worker.load -= request.done;
    worker.promised_blocks += row.all - request.done;
    worker.active.push_back(std::move(request));
  }
}

void FleetOfCaches::advance(uint32_t number, ActiveRequest& request) {
  Worker& worker = workers_[number];
  const RowBlocks& row = request.row;
  const uint32_t count = request.done < row.prompt
                             ? std::min(options_.chunk_blocks, row.prompt - request.done)
                             : std::min<uint32_t>(1, row.all - request.done);
  if (count == 0) return;
  const uint64_t begin = row.begin + request.done;
  for (uint32_t i = 0; i < count; ++i) {
    const SimulatedCache::Taken taken = worker.cache.take();
    evicted(number, taken);
    request.physicals.push_back(taken.block);
  }
  for (uint32_t i = 0; i < count; ++i) {
    const BlockHash hash = made_.hashes[begin + i];
    worker.cache.set_hash(request.physicals[request.done + i], hash);
    note_held(number, hash);
  }
  emit({begin, count, static_cast<uint16_t>(number), CacheEvent::Kind::kStore, request.done == 0});
  held_ += count;
  request.done += count;
  worker.load -= count;
  worker.promised_blocks -= count;
}

// The queue of free blocks gets the tail first, so that it is evicted before the head.
void FleetOfCaches::finish(Worker& worker, ActiveRequest& request) {
  for (size_t i = request.physicals.size(); i-- > 0;) worker.cache.release(request.physicals[i]);
}

void FleetOfCaches::restart(uint32_t number) {
  Worker& worker = workers_[number];
  worker.cache.for_each_hash([&](BlockHash hash) {
    note_gone(number, hash);
    --held_;  // copies aside
  });
  worker.cache.clear();
  worker.active.clear();
  worker.waiting.clear();
  worker.promised_blocks = worker.load = 0;
  emit({0, 0, static_cast<uint16_t>(number), CacheEvent::Kind::kClear, false});
  made_.batch_ends.push_back(made_.events.size());
}

void FleetOfCaches::emit(CacheEvent event) {
  made_.operations += operations_of(event);
  made_.events.push_back(event);
}

void FleetOfCaches::evicted(uint32_t number, const SimulatedCache::Taken& taken) {
  if (!taken.evicted) return;
  if (taken.last_copy) note_gone(number, *taken.evicted);
  --held_;
  emit({engine_name(*taken.evicted, engine_seed(number)), 1, static_cast<uint16_t>(number),
        CacheEvent::Kind::kRemove, false});
}

void FleetOfCaches::note_held(uint32_t number, BlockHash hash) {
  if (heads_.find(hash) == nullptr) return;
  holders_.at(hash)[number / 64] |= uint64_t{1} << (number % 64);
}

void FleetOfCaches::note_gone(uint32_t number, BlockHash hash) {
  Workers* held = holders_.find(hash);
  if (held == nullptr) return;
  (*held)[number / 64] &= ~(uint64_t{1} << (number % 64));
  if (*held == Workers{}) holders_.erase(hash);
}

}  // namespace

RowBlocks append_row(CacheWorkload& workload, const TraceRow& row, uint64_t row_number,
                     uint64_t repetition, uint32_t prompt_blocks_max) {
  const uint32_t prompt = std::min(row.input_length / kBlockTokens, prompt_blocks_max);
  const uint32_t all =
      prompt + (row.input_length % kBlockTokens + row.output_length) / kBlockTokens;
  BlockHash hash = token_root(mix64(repetition));
  workload.hashes.push_back(hash);
  workload.contents.push_back(0);
  workload.engine_hashes.push_back(0);
  const RowBlocks made{workload.hashes.size(), prompt, all};
  for (uint32_t i = 0; i < all; ++i) {
    // A trace without hash_ids, and what an answer fills, is the row's own.
    const bool shared = i < prompt && i / kParts < row.hash_ids.size();
    const uint64_t text = shared ? mix64(row.hash_ids[i / kParts] * kParts + i % kParts)
                                 : mix64(~(row_number << 20) - i);
    const uint64_t content = mix64(text + mix64(repetition));
    hash = chain_block(hash, content);
    workload.hashes.push_back(hash);
    workload.contents.push_back(content);
    workload.engine_hashes.push_back(engine_name(hash, 0));
  }
  return made;
}

HeldBlocks count_held(const CacheWorkload& workload, uint32_t workers) {
  // Engine hashes name blocks here: fleets with several seeds are not counted.
  std::vector<WordMap<uint32_t>> copies(workers);
  for (const CacheEvent& event : workload.events) {
    WordMap<uint32_t>& of_worker = copies[event.worker];
    if (event.kind == CacheEvent::Kind::kClear) of_worker.clear();
    if (event.kind == CacheEvent::Kind::kStore) {
      for (const uint64_t name : workload.stored(event).engine_hashes) ++of_worker.at(name);
    }
    if (event.kind == CacheEvent::Kind::kRemove && --of_worker.at(event.value) == 0) {
      of_worker.erase(event.value);
    }
  }
  HeldBlocks held;
  WordMap<char> distinct;
  for (const WordMap<uint32_t>& of_worker : copies) {
    held.memberships += of_worker.size();
    of_worker.for_each([&](uint64_t name, uint32_t) { distinct.at(name); });
  }
  held.distinct = distinct.size();
  return held;
}

CacheWorkload make_cache_workload(std::span<const TraceRow> rows,
                                  const CacheWorkloadOptions& options) {
  return FleetOfCaches(rows, options).run();
}

}  // namespace kvasir
