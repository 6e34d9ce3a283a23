#include "hashing/prompt_blocks.h"

#include "base/assert.h"
#include "base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

void hash_prompt_blocks(std::string_view prompt, uint64_t salt, size_t block_bytes,
                        std::vector<BlockHash>& blocks) {
  KVASIR_ASSERT(block_bytes > 0, "a block has bytes");
  blocks.clear();
  BlockHash parent = mix64(salt);
  for (; prompt.size() >= block_bytes; prompt.remove_prefix(block_bytes)) {
    parent = XXH3_64bits_withSeed(prompt.data(), block_bytes, parent);
    blocks.push_back(parent);
  }
}

uint64_t prompt_salt(std::string_view model, std::string_view cache_salt) {
  const uint64_t seed = XXH3_64bits(model.data(), model.size());
  return XXH3_64bits_withSeed(cache_salt.data(), cache_salt.size(), seed);
}

}  // namespace kvasir
