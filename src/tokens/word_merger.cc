#include "tokens/word_merger.h"

#include <algorithm>
#include <functional>

namespace kvasir {
namespace {

// Up to here a search through all ranks is faster than a heap of them.
constexpr size_t kShortWord = 48;
constexpr size_t kOrdinaryWord = 64 * 1024;
constexpr uint32_t kNowhere = UINT32_MAX;

}  // namespace

size_t WordMerger::merge(std::span<uint32_t> symbols) {
  if (symbols.size() < 2) return symbols.size();
  return symbols.size() <= kShortWord ? merge_short(symbols) : merge_long(symbols);
}

void WordMerger::shrink() {
  if (links_.capacity() <= kOrdinaryWord) return;
  std::vector<uint32_t>().swap(ranks_);
  std::vector<Link>().swap(links_);
  std::vector<uint64_t>().swap(heap_);
}

size_t WordMerger::merge_short(std::span<uint32_t> symbols) {
  size_t count = symbols.size();
  uint32_t ranks[kShortWord];
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = merges_.rank(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) best = ranks[i] < ranks[best] ? i : best;
    if (ranks[best] == MergeTable::kNoRank) break;
    symbols[best] = merges_.merged(ranks[best]);
    std::copy(symbols.begin() + static_cast<ptrdiff_t>(best) + 2,
              symbols.begin() + static_cast<ptrdiff_t>(count),
              symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    --count;
    if (best + 1 < count) {
      std::copy(ranks + best + 2, ranks + count, ranks + best + 1);
      ranks[best] = merges_.rank(symbols[best], symbols[best + 1]);
    }
    if (best > 0) ranks[best - 1] = merges_.rank(symbols[best - 1], symbols[best]);
  }
  return count;
}

void WordMerger::push(std::span<const uint32_t> symbols, uint32_t left, uint32_t right) {
  const uint32_t rank = merges_.rank(symbols[left], symbols[right]);
  ranks_[left] = rank;
  if (rank == MergeTable::kNoRank) return;
  heap_.push_back(uint64_t{rank} << 32 | left);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

// An entry of the heap counts while it is of the rank that its place has now.
size_t WordMerger::merge_long(std::span<uint32_t> symbols) {
  const auto count = static_cast<uint32_t>(symbols.size());
  links_.resize(count);
  ranks_.assign(count, MergeTable::kNoRank);
  heap_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    links_[i] = {i == 0 ? kNowhere : i - 1, i + 1 == count ? kNowhere : i + 1};
    if (i + 1 == count) break;
    ranks_[i] = merges_.rank(symbols[i], symbols[i + 1]);
    if (ranks_[i] != MergeTable::kNoRank) heap_.push_back(uint64_t{ranks_[i]} << 32 | i);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto rank = static_cast<uint32_t>(heap_.back() >> 32);
    const auto left = static_cast<uint32_t>(heap_.back());
    heap_.pop_back();
    if (ranks_[left] != rank) continue;
    const uint32_t right = links_[left].behind;
    const uint32_t behind = links_[right].behind;
    symbols[left] = merges_.merged(rank);
    ranks_[left] = ranks_[right] = MergeTable::kNoRank;
    links_[left].behind = behind;
    if (behind != kNowhere) {
      links_[behind].before = left;
      push(symbols, left, behind);
    }
    if (links_[left].before != kNowhere) push(symbols, links_[left].before, left);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i != kNowhere; i = links_[i].behind) symbols[kept++] = symbols[i];
  return kept;
}

}  // namespace kvasir
