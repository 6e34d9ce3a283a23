// What the engines themselves say of their caches, as a scheduler asks it: for each endpoint how
// many tokens of a prompt it holds, or that nothing exact is known of it.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/block_chain.h"
#include "model/endpoint.h"
#include "model/prompt_view.h"

namespace kvasir {

// A prompt whose tokens are known, in blocks of each size that engines have (TokenChain).
struct ChainOfSize {
  uint32_t block_tokens = 0;
  BlockChain* chain = nullptr;
};
using PromptChains = std::span<const ChainOfSize>;

struct CachedPrefix {
  // Nothing exact is known of the endpoint: its engine announces nothing, or events were lost and
  // not made up for yet.
  bool known = false;
  uint32_t tokens = 0;      // of the prompt's beginning, in any tier of the cache
  uint32_t gpu_tokens = 0;  // of them, up to the first that is not in the GPU's
};

class ExactCaches {
 public:
  virtual ~ExactCaches() = default;

  // Sizes of the blocks of engines that have announced some, in tokens; few, ascending. Changes as
  // engines come and go.
  virtual std::vector<uint32_t> block_sizes() const = 0;
  // Grows with each change of block_sizes() or of the adapters that root() knows.
  virtual uint64_t version() const = 0;
  // The root of a prompt's chains (hashing/token_blocks.h). A model that engines have named as an
  // adapter's has blocks of its own.
  virtual BlockHash root(std::string_view model, std::string_view cache_salt) const = 0;

  // For each of `endpoints`, by its id. Of an endpoint with several ranks: the best of them.
  // Precondition: `cached` has a place for every endpoint. Empty `prompt`: its tokens are not
  // known, and so nothing else is.
  virtual void match(PromptChains prompt, std::span<const EndpointId> endpoints,
                     std::span<CachedPrefix> cached) const = 0;

  // The prompt was sent there: it counts as held for `lifetime`, or until the engine's own events
  // say it.
  virtual void expect(PromptChains prompt, EndpointId endpoint, TimePoint now,
                      Duration lifetime) = 0;
};

}  // namespace kvasir
