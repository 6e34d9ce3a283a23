#include "hashing/token_blocks.h"

#include <algorithm>

#include "base/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

uint64_t block_content(std::span<const uint32_t> tokens, uint64_t extra) {
  return XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), extra);
}

BlockHash token_root(uint64_t salt) {
  return mix64(salt);
}

BlockHash token_root(std::string_view adapter, std::string_view cache_salt) {
  const uint64_t of_adapter = XXH3_64bits(adapter.data(), adapter.size());
  return token_root(XXH3_64bits_withSeed(cache_salt.data(), cache_salt.size(), of_adapter));
}

std::vector<BlockHash> hash_token_blocks(std::span<const uint32_t> tokens, uint64_t salt,
                                         size_t block_size) {
  TokenChain chain(tokens, token_root(salt), block_size);
  const std::span<const BlockHash> hashes = chain.at_least(chain.blocks());
  return {hashes.begin(), hashes.end()};
}

TokenChain::TokenChain(std::span<const uint32_t> tokens, BlockHash root, size_t block_size)
    : tokens_(tokens),
      root_(root),
      block_size_(block_size),
      blocks_(block_size > 0 ? tokens.size() / block_size : 0) {
  KVASIR_ASSERT(block_size > 0, "a block has tokens");
}

std::span<const BlockHash> TokenChain::at_least(size_t count) {
  count = std::min(count, blocks_);
  if (count <= hashes_.size()) return hashes_;
  hashes_.reserve(blocks_);
  BlockHash parent = hashes_.empty() ? root_ : hashes_.back();
  const size_t until = std::min(blocks_, (count + kAhead - 1) / kAhead * kAhead);
  for (size_t block = hashes_.size(); block < until; ++block) {
    parent = hash_token_block(parent, tokens_.subspan(block * block_size_, block_size_));
    hashes_.push_back(parent);
  }
  return hashes_;
}

}  // namespace kvasir
