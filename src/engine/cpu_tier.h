// Blocks that were evicted from the GPU's KV cache and are kept in the host's memory: a bounded set
// of block hashes, of which the least recently used go first, with their bytes when blocks have
// some. Allocates nothing after it was made.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/block_map.h"
#include "model/block_hash.h"

namespace kvasir {

class CpuTier {
 public:
  // Room for `blocks`; 0: nothing is kept. `block_bytes`: of each, 0: they have none.
  explicit CpuTier(uint32_t blocks, size_t block_bytes = 0);

  uint32_t capacity() const { return static_cast<uint32_t>(places_.size()) - 1; }
  uint32_t size() const { return map_.size(); }
  bool holds(BlockHash hash) const { return map_.find(hash) != kNoBlock; }

  // The block was used: it goes last now. A hash that it does not hold is ignored.
  void touch(BlockHash hash);

  // Which block has to go before another can be inserted; nullopt: there is room.
  std::optional<BlockHash> next_evicted() const;
  // Preconditions: it does not hold `hash`, capacity() > 0. The block of next_evicted() goes.
  // Returns where the block's bytes are to be written.
  std::span<std::byte> insert(BlockHash hash);
  // The bytes of a block. Precondition: holds(hash).
  std::span<const std::byte> bytes(BlockHash hash) const;

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

  std::span<std::byte> bytes_at(uint32_t place) const {
    return {bytes_.get() + place * block_bytes_, block_bytes_};
  }

  std::vector<Place> places_;
  const size_t block_bytes_;
  const std::unique_ptr<std::byte[]> bytes_;  // of place after place
  BlockMap map_;  // hash -> place
};

}  // namespace kvasir
