#include "engine/block_pool.h"

#include "base/assert.h"

namespace kvasir {

BlockPool::BlockPool(uint32_t blocks) : blocks_(blocks + 1), end_(blocks), map_(blocks) {
  blocks_[end_].before = blocks_[end_].after = end_;
  for (uint32_t block = 0; block < blocks; ++block) append_to_free_list(block);
}

void BlockPool::share(uint32_t block) {
  if (blocks_[block].references++ == 0) remove_from_free_list(block);
}

std::optional<BlockHash> BlockPool::next_forgotten() const {
  const Block& block = blocks_[blocks_[end_].after];
  if (!block.named) return std::nullopt;
  return block.hash;
}

uint32_t BlockPool::take() {
  KVASIR_ASSERT(free_count_ > 0, "a block is taken only when one is free");
  const uint32_t block = blocks_[end_].after;
  remove_from_free_list(block);
  if (blocks_[block].named) forget_hash(block);
  blocks_[block].references = 1;
  return block;
}

void BlockPool::name(uint32_t number, BlockHash hash) {
  Block& block = blocks_[number];
  KVASIR_ASSERT(block.references > 0 && !block.named, "a block is named once, by who uses it");
  block.hash = hash;
  block.named = true;
  const uint32_t first = map_.find(hash);
  if (first == kNoBlock) {
    map_.insert(hash, number);
    return;
  }
  const uint32_t second = blocks_[first].twin_after;
  block.twin_before = first;
  block.twin_after = second;
  blocks_[first].twin_after = number;
  if (second != kNoBlock) blocks_[second].twin_before = number;
}

void BlockPool::release(uint32_t block) {
  KVASIR_ASSERT(blocks_[block].references > 0, "only a block in use is released");
  if (--blocks_[block].references == 0) append_to_free_list(block);
}

void BlockPool::forget_hashes() {
  KVASIR_ASSERT(free_count_ == size(), "hashes are forgotten when no block is in use");
  map_.clear();
  for (Block& block : blocks_) {
    block.named = false;
    block.twin_before = block.twin_after = kNoBlock;
  }
}

void BlockPool::append_to_free_list(uint32_t block) {
  const uint32_t last = blocks_[end_].before;
  blocks_[block].before = last;
  blocks_[block].after = end_;
  blocks_[last].after = block;
  blocks_[end_].before = block;
  ++free_count_;
}

void BlockPool::remove_from_free_list(uint32_t block) {
  blocks_[blocks_[block].before].after = blocks_[block].after;
  blocks_[blocks_[block].after].before = blocks_[block].before;
  --free_count_;
}

void BlockPool::forget_hash(uint32_t number) {
  Block& block = blocks_[number];
  const uint32_t before = block.twin_before;
  const uint32_t after = block.twin_after;
  if (before != kNoBlock) {
    blocks_[before].twin_after = after;
  } else if (after != kNoBlock) {
    map_.replace(block.hash, after);
  } else {
    map_.erase(block.hash);
  }
  if (after != kNoBlock) blocks_[after].twin_before = before;
  block.twin_before = block.twin_after = kNoBlock;
  block.named = false;
}

std::vector<BlockHash> BlockPool::hashes() const {
  std::vector<BlockHash> hashes;
  for (const Block& block : blocks_) {
    if (block.named) hashes.push_back(block.hash);
  }
  return hashes;
}

bool BlockPool::consistent(uint64_t references) const {
  for (uint32_t block = 0; block < end_; ++block) references -= blocks_[block].references;
  return references == 0 && free_list_consistent() && names_consistent();
}

bool BlockPool::free_list_consistent() const {
  uint32_t listed = 0;
  for (uint32_t at = blocks_[end_].after; at != end_; at = blocks_[at].after) {
    if (blocks_[at].references > 0 || blocks_[blocks_[at].after].before != at) return false;
    if (++listed > size()) return false;
  }
  uint32_t unused = 0;
  for (uint32_t block = 0; block < end_; ++block) unused += blocks_[block].references == 0;
  return listed == free_count_ && unused == free_count_;
}

// Every named block is found under its hash, itself or as a twin of the one in the map.
bool BlockPool::names_consistent() const {
  uint32_t firsts = 0;
  for (uint32_t number = 0; number < end_; ++number) {
    const Block& block = blocks_[number];
    if (!block.named) continue;
    if (block.twin_before == kNoBlock) {
      ++firsts;
      if (map_.find(block.hash) != number) return false;
    } else if (const Block& twin = blocks_[block.twin_before];
               !twin.named || twin.hash != block.hash || twin.twin_after != number) {
      return false;
    }
  }
  return firsts == map_.size();
}

}  // namespace kvasir
