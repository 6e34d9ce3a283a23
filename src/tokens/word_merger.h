// Merges the symbols of one word as a byte-pair encoding does: of all neighbours that have a merge
// the one of the lowest rank first, of equal ones the leftmost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokens/merge_table.h"

namespace kvasir {

// Not thread-safe: keeps its working memory.
class WordMerger {
 public:
  // `merges` must outlive it.
  explicit WordMerger(const MergeTable& merges) : merges_(merges) {}

  // What `symbols` become, in place: the first so many are the result.
  size_t merge(std::span<uint32_t> symbols);
  // Gives back memory beyond what ordinary words need.
  void shrink();

 private:
  struct Link {
    uint32_t before;
    uint32_t behind;
  };

  size_t merge_short(std::span<uint32_t> symbols);
  size_t merge_long(std::span<uint32_t> symbols);
  void push(std::span<const uint32_t> symbols, uint32_t left, uint32_t right);

  const MergeTable& merges_;
  std::vector<uint32_t> ranks_;
  std::vector<Link> links_;
  std::vector<uint64_t> heap_;  // rank, then place
};

}  // namespace kvasir
