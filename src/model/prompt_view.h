// A prompt as an index of KV blocks sees it: cut into blocks of one size and hashed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "model/block_hash.h"

namespace kvasir {

enum class PromptUnit : uint32_t {
  kBytes,   // of the prompt as the engine sees it (wire/request/prompt_text.h)
  kTokens,  // token ids; made only by who has them
};

// How a prompt is cut. Hashes of one block size are comparable, those of two never are.
// Aligned as one word, so that every compiler reads and writes it as one (std::atomic).
struct alignas(8) BlockSize {
  PromptUnit unit = PromptUnit::kBytes;
  uint32_t units = 0;  // in a block

  bool operator==(const BlockSize&) const = default;
};

struct PromptView {
  BlockSize block{};
  // One for each full block, first block first; each stands for its block and all before it.
  std::span<const BlockHash> hashes;

  // Its first blocks, `blocks` at most.
  PromptView head(size_t blocks) const {
    return {block, hashes.first(std::min(blocks, hashes.size()))};
  }
};

// A request carries so many at most: a configuration that asks for more is refused.
inline constexpr size_t kPromptViewsMost = 8;

// The block sizes of the views that somebody wants, each once.
class BlockSizes {
 public:
  // Adds it unless it is there. False: there are kPromptViewsMost others.
  bool add(BlockSize size) {
    if (std::find(begin(), end(), size) != end()) return true;
    if (count_ == kPromptViewsMost) return false;
    sizes_[count_++] = size;
    return true;
  }
  const BlockSize* begin() const { return sizes_.data(); }
  const BlockSize* end() const { return sizes_.data() + count_; }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  std::array<BlockSize, kPromptViewsMost> sizes_{};
  size_t count_ = 0;
};

}  // namespace kvasir
