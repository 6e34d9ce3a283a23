#include "hashing/token_blocks.h"

#include "base/assert.h"
#include "base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

BlockHash token_root(uint64_t salt) {
  return mix64(salt);
}

BlockHash hash_token_block(BlockHash parent, std::span<const uint32_t> tokens) {
  return XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), parent);
}

std::vector<BlockHash> hash_token_blocks(std::span<const uint32_t> tokens, uint64_t salt,
                                         size_t block_size) {
  KVASIR_ASSERT(block_size > 0, "a block has tokens");
  std::vector<BlockHash> blocks;
  blocks.reserve(tokens.size() / block_size);
  BlockHash parent = token_root(salt);
  for (; tokens.size() >= block_size; tokens = tokens.subspan(block_size)) {
    parent = hash_token_block(parent, tokens.first(block_size));
    blocks.push_back(parent);
  }
  return blocks;
}

}  // namespace kvasir
