// The prefix cache of one engine as vLLM keeps it: a pool of physical blocks, each with a reference
// count and perhaps a hash; blocks without references wait in a queue from which the oldest is
// taken. One hash can be in several physical blocks: sequences that compute the same prefix at the
// same time each keep their own copy.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.h"
#include "index/word_map.h"
#include "model/block_hash.h"

namespace kvasir {

class SimulatedCache {
 public:
  // One physical block in `odd_one_in` is taken from a random place in the queue instead of its
  // end, which leaves holes within chains; 0: none.
  SimulatedCache(uint32_t blocks, uint32_t odd_one_in, uint64_t seed);

  uint32_t free_blocks() const { return free_; }
  // Has a physical block with that hash, and takes a reference on it: which one.
  std::optional<uint32_t> hit(BlockHash hash);
  // Takes a physical block without a hash, with one reference. `evicted`: the hash that it had; and
  // whether that was its last copy. Precondition: free_blocks() > 0.
  struct Taken {
    uint32_t block = 0;
    std::optional<BlockHash> evicted;
    bool last_copy = false;
  };
  Taken take();
  void set_hash(uint32_t block, BlockHash hash);
  // Drops a reference. Without any it joins the queue as its newest.
  void release(uint32_t block);
  // No block has a hash or a reference any more.
  void clear();

  template <class Function>
  void for_each_hash(Function&& function) const {
    by_hash_.for_each([&](uint64_t hash, uint32_t) { function(hash); });
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Physical {
    BlockHash hash = 0;
    bool hashed = false;
    uint32_t references = 0;
    uint32_t older = kNone, newer = kNone;  // in the queue
    uint32_t twin = kNone;                  // another one with the same hash
  };

  void append(uint32_t block);
  void unlink(uint32_t block);
  uint32_t choose();
  bool forget_hash(uint32_t block);

  std::vector<Physical> blocks_;
  WordMap<uint32_t> by_hash_;  // the first of its copies
  uint32_t oldest_ = kNone, newest_ = kNone;
  uint32_t free_ = 0;
  uint32_t odd_one_in_;
  Random random_;
};

}  // namespace kvasir
