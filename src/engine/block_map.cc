#include "engine/block_map.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace kvasir {

// At most half of the slots are ever taken: probes stay short.
BlockMap::BlockMap(uint32_t entries_max)
    : entries_max_(entries_max),
      mask_(std::bit_ceil(2 * (uint64_t{entries_max} + 1)) - 1),
      slots_(mask_ + 1) {}

uint64_t BlockMap::slot_of(BlockHash hash) const {
  uint64_t slot = hash & mask_;
  while (slots_[slot].block != kNoBlock && slots_[slot].hash != hash) slot = (slot + 1) & mask_;
  return slot;
}

uint32_t BlockMap::find(BlockHash hash) const {
  return slots_[slot_of(hash)].block;
}

void BlockMap::insert(BlockHash hash, uint32_t block) {
  KVASIR_ASSERT(size_ < entries_max_, "the map has room");
  Slot& slot = slots_[slot_of(hash)];
  KVASIR_ASSERT(slot.block == kNoBlock, "a hash is inserted once");
  slot = {hash, block};
  ++size_;
}

void BlockMap::replace(BlockHash hash, uint32_t block) {
  Slot& slot = slots_[slot_of(hash)];
  KVASIR_ASSERT(slot.block != kNoBlock, "a replaced hash has an entry");
  slot.block = block;
}

// Moves later entries of the same run back, so that no probe ever meets a hole where there was an
// entry.
void BlockMap::erase(BlockHash hash) {
  uint64_t hole = slot_of(hash);
  KVASIR_ASSERT(slots_[hole].block != kNoBlock, "an erased hash has an entry");
  for (uint64_t at = (hole + 1) & mask_; slots_[at].block != kNoBlock; at = (at + 1) & mask_) {
    const uint64_t home = slots_[at].hash & mask_;
    if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = Slot{};
  --size_;
}

void BlockMap::clear() {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  size_ = 0;
}

}  // namespace kvasir
