// Chained hashes of a prompt's raw bytes, for the approximate index.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/prompt_view.h"

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

// Owns the views of one prompt. Not copied: views() points into it.
class HashedPrompt {
 public:
  class Hasher;

  HashedPrompt() = default;
  HashedPrompt(const HashedPrompt&) = delete;
  HashedPrompt& operator=(const HashedPrompt&) = delete;

  // Valid until the next Hasher begins, or until clear().
  std::span<const PromptView> views() const { return std::span(views_).first(count_); }
  // Gives the memory back.
  void clear();

 private:
  std::array<PromptView, kPromptViewsMost> views_{};
  std::array<std::vector<BlockHash>, kPromptViewsMost> hashes_;
  size_t count_ = 0;
};

// Makes the views of a prompt that comes in pieces: each piece is read once, for all of them.
class HashedPrompt::Hasher {
 public:
  // Replaces what `prompt`, which must outlive this object, had before. Sizes in other units than
  // bytes have no view; of more than kPromptViewsMost the first are made. Precondition: each size
  // is above 0 and comes once.
  Hasher(HashedPrompt& prompt, std::span<const BlockSize> sizes, uint64_t salt);

  void take(std::string_view piece);
  // The prompt is complete: prompt.views() shows it.
  void finish();

 private:
  HashedPrompt& prompt_;
  std::array<std::optional<PromptBlockHasher>, kPromptViewsMost> hashers_;
};

// A salt from a model's name and an optional cache salt.
uint64_t prompt_salt(std::string_view model, std::string_view cache_salt);

}  // namespace kvasir
