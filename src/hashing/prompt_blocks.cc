#include "hashing/prompt_blocks.h"

#include <algorithm>

#include "base/assert.h"
#include "base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

PromptBlockHasher::PromptBlockHasher(uint64_t salt, size_t block_bytes,
                                     std::vector<BlockHash>& blocks)
    : block_bytes_(block_bytes), blocks_(blocks), parent_(mix64(salt)) {
  KVASIR_ASSERT(block_bytes > 0, "a block has bytes");
  blocks.clear();
}

void PromptBlockHasher::add_block(const char* bytes) {
  parent_ = XXH3_64bits_withSeed(bytes, block_bytes_, parent_);
  blocks_.push_back(parent_);
}

void PromptBlockHasher::take(std::string_view piece) {
  if (!begun_.empty()) {
    const size_t missing = std::min(block_bytes_ - begun_.size(), piece.size());
    begun_.append(piece.substr(0, missing));
    piece.remove_prefix(missing);
    if (begun_.size() < block_bytes_) return;
    add_block(begun_.data());
    begun_.clear();
  }
  for (; piece.size() >= block_bytes_; piece.remove_prefix(block_bytes_)) add_block(piece.data());
  begun_.append(piece);
}

void hash_prompt_blocks(std::string_view prompt, uint64_t salt, size_t block_bytes,
                        std::vector<BlockHash>& blocks) {
  PromptBlockHasher(salt, block_bytes, blocks).take(prompt);
}

void HashedPrompt::clear() {
  count_ = 0;
  for (std::vector<BlockHash>& hashes : hashes_) hashes = {};
}

HashedPrompt::Hasher::Hasher(HashedPrompt& prompt, std::span<const BlockSize> sizes, uint64_t salt)
    : prompt_(prompt) {
  prompt.count_ = 0;
  for (const BlockSize size : sizes) {
    if (size.unit != PromptUnit::kBytes || prompt.count_ == kPromptViewsMost) continue;
    const size_t view = prompt.count_++;
    prompt.views_[view].block = size;
    hashers_[view].emplace(salt, size.units, prompt.hashes_[view]);
  }
}

void HashedPrompt::Hasher::take(std::string_view piece) {
  for (size_t i = 0; i < prompt_.count_; ++i) hashers_[i]->take(piece);
}

void HashedPrompt::Hasher::finish() {
  for (size_t i = 0; i < prompt_.count_; ++i) prompt_.views_[i].hashes = prompt_.hashes_[i];
}

uint64_t prompt_salt(std::string_view model, std::string_view cache_salt) {
  const uint64_t seed = XXH3_64bits(model.data(), model.size());
  return XXH3_64bits_withSeed(cache_salt.data(), cache_salt.size(), seed);
}

}  // namespace kvasir
