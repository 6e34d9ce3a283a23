// From block hashes to block numbers: a fixed open-addressing table that allocates nothing after it
// was made. Hashes are taken to be well mixed. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "model/block_hash.h"

namespace kvasir {

inline constexpr uint32_t kNoBlock = UINT32_MAX;

class BlockMap {
 public:
  // Room for `entries_max` entries.
  explicit BlockMap(uint32_t entries_max);

  // The block of that hash; kNoBlock when there is none.
  uint32_t find(BlockHash hash) const;

  // Precondition: `hash` has no entry yet, and there is room.
  void insert(BlockHash hash, uint32_t block);
  // Preconditions: `hash` has an entry.
  void replace(BlockHash hash, uint32_t block);
  void erase(BlockHash hash);

  void clear();
  uint32_t size() const { return size_; }

 private:
  struct Slot {
    BlockHash hash = 0;
    uint32_t block = kNoBlock;
  };

  // The slot of `hash`, or the empty one where it would be.
  uint64_t slot_of(BlockHash hash) const;

  const uint32_t entries_max_;
  const uint64_t mask_;
  std::vector<Slot> slots_;
  uint32_t size_ = 0;
};

}  // namespace kvasir
