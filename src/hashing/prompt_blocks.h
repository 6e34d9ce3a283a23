// Chained hashes of a prompt's raw bytes, for the approximate index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/block_hash.h"

namespace kvasir {

// Bytes of prompt in a block of the built-in policies: 512 tokens of four bytes, Mooncake's block.
inline constexpr size_t kPromptBytesPerBlock = 2048;

// Replaces `blocks` by one hash for each full block of `block_bytes` bytes of `prompt`; each covers
// all bytes before it and `salt` (the model's name and the cache salt, hashed). A tail shorter than
// a block has none. XXH3, seeded by the parent. Precondition: block_bytes > 0.
void hash_prompt_blocks(std::string_view prompt, uint64_t salt, size_t block_bytes,
                        std::vector<BlockHash>& blocks);

// The same for a prompt that comes in pieces, wherever it is cut.
class PromptBlockHasher {
 public:
  // Replaces `blocks`, which must outlive this object.
  PromptBlockHasher(uint64_t salt, size_t block_bytes, std::vector<BlockHash>& blocks);
  void take(std::string_view piece);

 private:
  void add_block(const char* bytes);

  const size_t block_bytes_;
  std::vector<BlockHash>& blocks_;
  BlockHash parent_;
  std::string begun_;  // of the next block, when its bytes do not lie in one piece
};

// A salt from a model's name and an optional cache salt.
uint64_t prompt_salt(std::string_view model, std::string_view cache_salt);

}  // namespace kvasir
