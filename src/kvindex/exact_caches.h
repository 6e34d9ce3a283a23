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
#include "model/block_hash.h"
#include "model/endpoint.h"
#include "model/prompt_chains.h"

namespace kvasir {

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
