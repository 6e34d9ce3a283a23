// What was routed where: a guess at each endpoint's prefix cache, made from what it was sent.
//
// For each endpoint an LRU of block hashes, as large as its KV cache. It knows nothing of what the
// endpoint evicted for other reasons (answers, restarts, other gateways); what that costs is told
// in routing_policy.md §4.
//
// A block hash stands for its block and everything before it (model/block_hash.h), and a chain is
// touched from its last block to its first. So a block is never older than a block behind it, tails
// go before heads, and the blocks of a chain that are present are always a leading part of it.
// match() relies on it.
//
// Not thread-safe: it lives under the scheduler's mutex.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvindex/lru_block_set.h"
#include "model/block_hash.h"
#include "model/endpoint.h"

namespace kvasir {

class ApproximateIndex {
 public:
  // Blocks assumed to fit on an endpoint that has not said how large its cache is: half a million
  // tokens in blocks of 512, about what one large GPU keeps beside the weights of a 30B model.
  static constexpr size_t kDefaultCapacityBlocks = 1024;

  explicit ApproximateIndex(size_t endpoints);

  // How many leading blocks of the chain are present. Looks at O(log) of them.
  uint32_t match(EndpointId endpoint, std::span<const BlockHash> chain) const;

  // The chain was sent to the endpoint. Of a chain longer than the capacity the head is kept.
  void insert(EndpointId endpoint, std::span<const BlockHash> chain);

  void set_capacity(EndpointId endpoint, size_t blocks);

  // Blocks of all endpoints.
  size_t size() const;

  // Its cache is empty. The capacity stays.
  void forget(EndpointId endpoint);

 private:
  std::vector<LruBlockSet> endpoints_;
};

}  // namespace kvasir
