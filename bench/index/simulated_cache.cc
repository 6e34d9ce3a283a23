#include "index/simulated_cache.h"

namespace kvasir {

SimulatedCache::SimulatedCache(uint32_t blocks, uint32_t odd_one_in, uint64_t seed)
    : blocks_(blocks), odd_one_in_(odd_one_in), random_(seed) {
  for (uint32_t block = 0; block < blocks; ++block) append(block);
}

std::optional<uint32_t> SimulatedCache::hit(BlockHash hash) {
  const uint32_t* found = by_hash_.find(hash);
  if (found == nullptr) return std::nullopt;
  if (blocks_[*found].references++ == 0) unlink(*found);
  return *found;
}

SimulatedCache::Taken SimulatedCache::take() {
  Taken taken{choose(), std::nullopt, false};
  unlink(taken.block);
  Physical& physical = blocks_[taken.block];
  if (physical.hashed) {
    taken.evicted = physical.hash;
    taken.last_copy = forget_hash(taken.block);
  }
  physical.references = 1;
  return taken;
}

void SimulatedCache::set_hash(uint32_t block, BlockHash hash) {
  Physical& physical = blocks_[block];
  physical.hash = hash;
  physical.hashed = true;
  if (uint32_t* first = by_hash_.find(hash)) {
    physical.twin = blocks_[*first].twin;
    blocks_[*first].twin = block;
  } else {
    physical.twin = kNone;
    by_hash_.at(hash) = block;
  }
}

void SimulatedCache::release(uint32_t block) {
  if (--blocks_[block].references == 0) append(block);
}

void SimulatedCache::clear() {
  by_hash_.clear();
  oldest_ = newest_ = kNone;
  free_ = 0;
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    blocks_[block] = {};
    append(block);
  }
}

void SimulatedCache::append(uint32_t block) {
  blocks_[block].older = newest_;
  blocks_[block].newer = kNone;
  (newest_ == kNone ? oldest_ : blocks_[newest_].newer) = block;
  newest_ = block;
  ++free_;
}

void SimulatedCache::unlink(uint32_t block) {
  const Physical& physical = blocks_[block];
  (physical.older == kNone ? oldest_ : blocks_[physical.older].newer) = physical.newer;
  (physical.newer == kNone ? newest_ : blocks_[physical.newer].older) = physical.older;
  --free_;
}

uint32_t SimulatedCache::choose() {
  constexpr int kTries = 8;
  if (odd_one_in_ == 0 || random_.below(odd_one_in_) != 0) return oldest_;
  for (int i = 0; i < kTries; ++i) {
    const auto block = static_cast<uint32_t>(random_.below(blocks_.size()));
    if (blocks_[block].references == 0) return block;
  }
  return oldest_;
}

// Answers whether no copy is left.
bool SimulatedCache::forget_hash(uint32_t block) {
  Physical& physical = blocks_[block];
  physical.hashed = false;
  uint32_t* first = by_hash_.find(physical.hash);
  if (*first == block) {
    if (physical.twin == kNone) return by_hash_.erase(physical.hash);
    *first = physical.twin;
    return false;
  }
  uint32_t before = *first;
  while (blocks_[before].twin != block) before = blocks_[before].twin;
  blocks_[before].twin = physical.twin;
  return false;
}

}  // namespace kvasir
