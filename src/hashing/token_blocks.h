// Hashes of a sequence's token blocks: the names that Kvasir gives to blocks of KV cache, whatever
// the engine calls them.
//
// A block's content hash is of its tokens alone; its BlockHash chains it to everything before it:
// equal ones mean equal tokens from the beginning of the sequence, in the same namespace. So the
// slow part, hashing tokens, has no order and runs at the speed of memory; the chain costs one
// multiplication a block. Neither is cryptographic: whoever can choose tokens could make two
// prompts collide, and be routed wrongly; the engine checks with its own hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "model/block_chain.h"
#include "model/block_hash.h"

namespace kvasir {

// XXH3 of the tokens as 32-bit little-endian integers. `extra`: of what else is in the block (the
// images that overlap it), hashed; 0: nothing.
uint64_t block_content(std::span<const uint32_t> tokens, uint64_t extra = 0);

// The hash of the block with that content after the block `parent`.
constexpr BlockHash chain_block(BlockHash parent, uint64_t content) {
  const Wide product =
      static_cast<Wide>(parent ^ 0xa0761d6478bd642fULL) * (content ^ 0xe7037ed1a0b428dbULL);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// The parent of the first block of every sequence in a namespace: under `salt`; or of the adapter
// of that name (empty: the base model) and under that cache salt (empty: none).
BlockHash token_root(uint64_t salt);
BlockHash token_root(std::string_view adapter, std::string_view cache_salt);

// The hash of `tokens` after the block whose hash is `parent`.
inline BlockHash hash_token_block(BlockHash parent, std::span<const uint32_t> tokens) {
  return chain_block(parent, block_content(tokens));
}

// One hash for each full block of `block_size` tokens; a shorter tail has none. Precondition:
// block_size > 0.
std::vector<BlockHash> hash_token_blocks(std::span<const uint32_t> tokens, uint64_t salt,
                                         size_t block_size);

// The chain of one prompt, hashed in pieces of kAhead blocks. Not thread-safe.
class TokenChain final : public BlockChain {
 public:
  static constexpr size_t kAhead = 64;

  // `tokens` must outlive it. Precondition: block_size > 0.
  TokenChain(std::span<const uint32_t> tokens, BlockHash root, size_t block_size);
  size_t blocks() const override { return blocks_; }
  std::span<const BlockHash> at_least(size_t count) override;

 private:
  const std::span<const uint32_t> tokens_;
  const BlockHash root_;
  const size_t block_size_;
  const size_t blocks_;
  std::vector<BlockHash> hashes_;  // room for all of them from the first on: they stay in place
};

}  // namespace kvasir
