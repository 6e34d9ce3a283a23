// Chained hashes of a sequence's token blocks: the names of the blocks in an engine's prefix cache.
// Equal hashes mean equal tokens from the beginning of the sequence, under the same salt. XXH3, seeded
// by the parent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/block_hash.h"

namespace kvasir {

// The parent of the first block of every sequence under `salt`.
BlockHash token_root(uint64_t salt);

// The hash of `tokens` after the block whose hash is `parent`.
BlockHash hash_token_block(BlockHash parent, std::span<const uint32_t> tokens);

// One hash for each full block of `block_size` tokens; a shorter tail has none. Precondition:
// block_size > 0.
std::vector<BlockHash> hash_token_blocks(std::span<const uint32_t> tokens, uint64_t salt,
                                         size_t block_size);

}  // namespace kvasir
