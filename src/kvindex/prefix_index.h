// Which endpoint holds which block of which prompt: what is known of the endpoints' KV caches, for
// prompts in blocks of one size.
//
// A block hash stands for its block and everything before it (model/block_hash.h), so only leading
// blocks count: a block whose predecessor is gone cannot be used. Endpoints are named by their ids.
// Not thread-safe: an index that several policies use lives under the scheduler's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/endpoint.h"
#include "model/prompt_view.h"

namespace kvasir {

struct PrefixIndexOptions {
  // Blocks assumed to fit on an endpoint that has not said how large its cache is: half a million
  // tokens in blocks of 512, about what one large GPU keeps beside the weights of a 30B model.
  static constexpr size_t kDefaultCapacityBlocks = 1024;

  size_t endpoints = 0;                             // ids are below it
  size_t capacity_blocks = kDefaultCapacityBlocks;  // of an endpoint, until set_capacity()
  // Of all endpoints together, at kBytesPerBlock each. When the capacities of those that hold
  // something come to more, none of them holds more than an equal share.
  size_t memory_bytes_max = size_t{1} << 30;

  // What a block takes at most in the approximate index, one call of set_capacity() aside.
  static constexpr size_t kBytesPerBlock = 104;
  size_t blocks_max() const { return memory_bytes_max / kBytesPerBlock; }
};

class PrefixIndex {
 public:
  virtual ~PrefixIndex() = default;

  // For each of `endpoints`, by its id: how many leading blocks of the prompt it holds. The rest of
  // `matched` is left as it is. Precondition: `matched` has a place for every endpoint.
  virtual void match(const PromptView& prompt, std::span<const EndpointId> endpoints,
                     std::span<uint32_t> matched) const = 0;

  // The prompt was sent there. Of one that is longer than the capacity the head is kept; the blocks
  // that were used least recently go, those at the end of a prompt before those at its beginning.
  virtual void insert(EndpointId endpoint, const PromptView& prompt) = 0;

  // Blocks that fit there. What no longer fits is forgotten.
  virtual void set_capacity(EndpointId endpoint, size_t blocks) = 0;

  // Its cache is empty. The capacity stays.
  virtual void forget(EndpointId endpoint) = 0;

  // Blocks of all endpoints, and the memory that they take.
  virtual size_t size() const = 0;
  virtual size_t memory_bytes() const = 0;
};

}  // namespace kvasir
