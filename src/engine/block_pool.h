// The KV blocks of an engine, counted and cached as vLLM V1 does (v1/core/block_pool.py).
//
// A block is in use (some sequences refer to it) or free. Free blocks wait in a list whose head is
// taken first; a free block that still holds a hashed prefix stays findable until it is taken.
// Several blocks can hold the same prefix, made by sequences that ran side by side. Nothing
// allocates after construction. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/block_map.h"
#include "model/block_hash.h"

namespace kvasir {

class BlockPool {
 public:
  explicit BlockPool(uint32_t blocks);

  uint32_t size() const { return static_cast<uint32_t>(blocks_.size()) - 1; }
  uint32_t free_count() const { return free_count_; }

  // A block that holds the prefix of that hash, in use or free; kNoBlock when there is none.
  uint32_t find(BlockHash hash) const { return map_.find(hash); }
  bool in_use(uint32_t block) const { return blocks_[block].references > 0; }

  // One more reference to a block that find() returned: takes it out of the free list if it was
  // free.
  void share(uint32_t block);

  // What the next take() forgets: the prefix that the block freed longest ago still holds.
  // Precondition: free_count() > 0.
  std::optional<BlockHash> next_forgotten() const;

  // The free block that was freed longest ago, with one reference; what it held is forgotten.
  // Precondition: free_count() > 0.
  uint32_t take();

  // Makes a block findable that holds a full block of tokens. Precondition: it is in use and has no
  // hash.
  void name(uint32_t block, BlockHash hash);

  // One reference less; without any, the block goes to the end of the free list. Sequences release
  // their last block first, so that prefixes outlive what follows them.
  void release(uint32_t block);

  // Forgets all hashes. Precondition: all blocks are free.
  void forget_hashes();

  // The hash of each block that holds a prefix, as often as blocks hold it. For tests: walks
  // everything.
  std::vector<BlockHash> hashes() const;

  // Whether the free list, the counts and the map agree; `references` is the sum held by sequences.
  // For tests: walks everything.
  bool consistent(uint64_t references) const;

 private:
  struct Block {
    BlockHash hash = 0;
    uint32_t references = 0;
    bool named = false;
    // Neighbours in the free list, which is a ring through the extra block at index size().
    uint32_t before = kNoBlock;
    uint32_t after = kNoBlock;
    // Blocks of the same hash; the first of them is the one in the map.
    uint32_t twin_before = kNoBlock;
    uint32_t twin_after = kNoBlock;
  };

  void append_to_free_list(uint32_t block);
  void remove_from_free_list(uint32_t block);
  void forget_hash(uint32_t block);
  bool free_list_consistent() const;
  bool names_consistent() const;

  std::vector<Block> blocks_;
  const uint32_t end_;  // index of the extra block
  uint32_t free_count_ = 0;
  BlockMap map_;
};

}  // namespace kvasir
