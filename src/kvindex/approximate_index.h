// What was routed where: a guess at each endpoint's prefix cache, made from what it was sent.
//
// For each endpoint an LRU of block hashes, as large as its KV cache. It knows nothing of what the
// endpoint evicted for other reasons (answers, restarts, other gateways); what that costs is told
// in routing_policy.md §4.
//
// A chain is touched from its last block to its first. So a block is never older than a block
// behind it, tails go before heads, and the blocks of a chain that are present are always a leading
// part of it. match() relies on it, and looks at O(log) of them.
//
// It allocates nothing once its endpoints are full.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvindex/lru_block_set.h"
#include "kvindex/prefix_index.h"

namespace kvasir {

class ApproximateIndex final : public PrefixIndex {
 public:
  explicit ApproximateIndex(const PrefixIndexOptions& options);

  void match(const PromptView& prompt, std::span<const EndpointId> endpoints,
             std::span<uint32_t> matched) const override;
  void insert(EndpointId endpoint, const PromptView& prompt) override;
  void set_capacity(EndpointId endpoint, size_t blocks) override;
  void forget(EndpointId endpoint) override;
  size_t size() const override;
  size_t memory_bytes() const override;

 private:
  struct Held {
    LruBlockSet blocks;    // its capacity: the wanted one, or the share
    size_t capacity;       // that was asked for
    bool counted = false;  // in holders_ and promised_: it holds something
  };

  void count(Held& held, bool counted);
  void share_out();

  const size_t blocks_max_;
  std::vector<Held> endpoints_;
  size_t holders_ = 0;                        // endpoints that hold something,
  size_t promised_ = 0;                       // their capacities together,
  size_t share_ = LruBlockSet::kCapacityMax;  // and what each of them may hold at most
};

}  // namespace kvasir
