// Blocks that were evicted from the GPU's KV cache and are kept in the host's memory: a bounded set
// of block hashes, of which the least recently used go first. Allocates nothing after it was made.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/block_map.h"
#include "model/block_hash.h"

namespace kvasir {

class CpuTier {
 public:
  // Room for `blocks`; 0: nothing is kept.
  explicit CpuTier(uint32_t blocks);

  uint32_t capacity() const { return static_cast<uint32_t>(places_.size()) - 1; }
  uint32_t size() const { return map_.size(); }
  bool holds(BlockHash hash) const { return map_.find(hash) != kNoBlock; }

  // The block was used: it goes last now. A hash that it does not hold is ignored.
  void touch(BlockHash hash);

  // Which block has to go before another can be inserted; nullopt: there is room.
  std::optional<BlockHash> next_evicted() const;
  // Preconditions: it does not hold `hash`, capacity() > 0. The block of next_evicted() goes.
  void insert(BlockHash hash);

  void clear();

 private:
  struct Place {
    BlockHash hash = 0;
    // Neighbours in order of use, a ring through the extra place at index capacity().
    uint32_t before = kNoBlock;
    uint32_t after = kNoBlock;
  };

  void append(uint32_t place);
  void unlink(uint32_t place);

  std::vector<Place> places_;
  BlockMap map_;  // hash -> place
};

}  // namespace kvasir
