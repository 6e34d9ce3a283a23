// A prompt whose token ids are known, cut into blocks as engines cut it, and how much of it an
// endpoint's cache holds.
#pragma once

#include <cstdint>
#include <span>

#include "model/block_chain.h"

namespace kvasir {

// The prompt in blocks of one size that engines have.
struct ChainOfSize {
  uint32_t block_tokens = 0;
  BlockChain* chain = nullptr;
};
// One for each size. Empty: the tokens are not known, or no engine says what it holds.
using PromptChains = std::span<const ChainOfSize>;

// What an endpoint's own engine says that it holds of a prompt.
struct CachedPrefix {
  // Nothing exact is known of the endpoint: its engine announces nothing, or events were lost and
  // not made up for yet.
  bool known = false;
  uint32_t tokens = 0;        // of the prompt's beginning, in any tier of the cache
  uint32_t gpu_tokens = 0;    // of them, how many the GPU's tier has
  uint32_t block_tokens = 0;  // of the engine's blocks; 0: it has announced none

  // What the engine will take from its cache of a prompt of that length: not the block with the
  // last token, for that token is computed always.
  uint32_t usable_tokens(uint32_t prompt_tokens) const {
    if (tokens < prompt_tokens) return tokens;
    if (prompt_tokens == 0) return 0;
    const uint32_t before_last = prompt_tokens - 1;
    return block_tokens > 0 ? before_last / block_tokens * block_tokens : before_last;
  }
};

}  // namespace kvasir
