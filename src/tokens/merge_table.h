// Which two tokens become one, and in which order: the merges of a byte-pair encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvasir {

class MergeTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  explicit MergeTable(size_t merges_most);
  // The next merge, of the rank after the one before; of a pair that was there the later one
  // counts.
  void add(uint32_t left, uint32_t right, uint32_t merged);

  // Of the merge of these two; kNoRank: there is none. Lower ranks are merged first.
  uint32_t rank(uint32_t left, uint32_t right) const {
    const uint64_t pair = key(left, right);
    const uint64_t hash = hash_of(pair);
    const uint64_t bit = hash >> filter_shift_;
    if ((filter_[bit >> 6] >> (bit & 63) & 1) == 0) return kNoRank;
    for (size_t i = hash >> shift_;; i = (i + 1) & mask_) {
      if (slots_[i].pair == pair) return slots_[i].rank;
      if (slots_[i].rank == kNoRank) return kNoRank;
    }
  }
  uint32_t merged(uint32_t rank) const { return merged_[rank]; }
  size_t size() const { return merged_.size(); }

 private:
  struct Slot {
    uint64_t pair = 0;
    uint32_t rank = kNoRank;
  };

  static uint64_t key(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }
  static uint64_t hash_of(uint64_t pair) { return pair * 0x9e3779b97f4a7c15ULL; }

  std::vector<Slot> slots_;  // never more than half full
  size_t mask_ = 0;
  int shift_ = 0;
  // A bit for each hash that is there: most pairs have no merge, and this stays in a near cache.
  std::vector<uint64_t> filter_;
  int filter_shift_ = 0;
  std::vector<uint32_t> merged_;  // by rank
};

}  // namespace kvasir
