#include "base/random.h"
#include "engine/engine.h"
#include "hashing/token_blocks.h"

namespace kvasir {

uint64_t answer_seed(uint64_t seed, const std::vector<TokenId>& prompt, uint64_t sampling_hash,
                     uint32_t choice) {
  const uint64_t prompt_hash = hash_token_block(mix64(seed), prompt);
  return mix64(mix64(prompt_hash ^ mix64(sampling_hash)) + choice);
}

TokenId answer_token(uint64_t answer_seed, uint32_t position) {
  return kFirstSpacedWord + static_cast<uint32_t>(mix64(mix64(answer_seed) + position) % kWords);
}

}  // namespace kvasir
