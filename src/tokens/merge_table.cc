#include "tokens/merge_table.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace kvasir {
namespace {

constexpr int kFilterBitsPerSlotLog = 3;

}  // namespace

MergeTable::MergeTable(size_t merges_most) {
  const size_t slots = std::bit_ceil(std::max<size_t>(merges_most, 8) * 2);
  slots_.resize(slots);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  filter_.resize(((slots << kFilterBitsPerSlotLog) + 63) / 64);
  filter_shift_ = shift_ - kFilterBitsPerSlotLog;
}

void MergeTable::add(uint32_t left, uint32_t right, uint32_t merged) {
  const auto rank = static_cast<uint32_t>(merged_.size());
  KVASIR_ASSERT(merged_.size() < slots_.size() / 2, "no more merges than were announced");
  merged_.push_back(merged);
  const uint64_t pair = key(left, right);
  const uint64_t hash = hash_of(pair);
  const uint64_t bit = hash >> filter_shift_;
  filter_[bit >> 6] |= uint64_t{1} << (bit & 63);
  size_t i = hash >> shift_;
  while (slots_[i].rank != kNoRank && slots_[i].pair != pair) i = (i + 1) & mask_;
  slots_[i] = {pair, rank};
}

}  // namespace kvasir
