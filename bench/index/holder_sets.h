// Sets of holders, each kept once and never changed: a block names its set by a number, and as
// neighbours in a chain mostly have the same holders, there are far fewer sets than blocks.
//
// One thread changes it, others may read the words of sets that are in use.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/random.h"
#include "index/reader_epochs.h"
#include "index/word_map.h"

namespace kvasir {

class HolderSets {
 public:
  static constexpr uint32_t kEmpty = 0;

  HolderSets(size_t holders, ReaderEpochs& epochs)
      : words_((holders + 63) / 64), scratch_(words_), retired_(epochs) {
    users_.push_back(1);  // the empty set stays
    chunk_of(kEmpty);
  }

  size_t words() const { return words_; }
  // Any thread.
  const uint64_t* of(uint32_t set) const {
    return chunks_[set / kChunk].load(std::memory_order_acquire) + (set % kChunk) * words_;
  }
  static bool contains(const uint64_t* words, uint32_t holder) {
    return (words[holder / 64] >> (holder % 64) & 1) != 0;
  }
  size_t count(uint32_t set) const {
    size_t count = 0;
    for (size_t i = 0; i < words_; ++i) {
      count += static_cast<size_t>(__builtin_popcountll(of(set)[i]));
    }
    return count;
  }

  // The set that differs from `set` in that holder. It has to be used at once, or released.
  uint32_t toggled(uint32_t set, uint32_t holder) {
    std::copy_n(of(set), words_, scratch_.begin());
    scratch_[holder / 64] ^= uint64_t{1} << (holder % 64);
    return intern();
  }
  uint32_t without(uint32_t set, std::span<const uint64_t> holders) {
    for (size_t i = 0; i < words_; ++i) scratch_[i] = of(set)[i] & ~holders[i];
    return intern();
  }
  void use(uint32_t set) { ++users_[set]; }
  void release(uint32_t set) {
    if (set == kEmpty || --users_[set] > 0) return;
    const uint64_t key = hash(of(set));
    const uint32_t* found = numbers_.find(key);
    if (found && *found == set) numbers_.erase(key);
    retired_.add(set, [this](uint32_t free) { free_.push_back(free); });
  }

 private:
  static constexpr size_t kChunk = 4096;   // sets
  static constexpr size_t kChunks = 4096;  // 16 M sets

  uint64_t hash(const uint64_t* words) const {
    uint64_t hash = 0;
    for (size_t i = 0; i < words_; ++i) {
      const Wide product = static_cast<Wide>(hash ^ words[i] ^ 0x9e3779b97f4a7c15ULL) *
                           (0xbf58476d1ce4e5b9ULL + 2 * i);
      hash = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    }
    return hash;
  }
  uint32_t intern() {
    if (std::all_of(scratch_.begin(), scratch_.end(), [](uint64_t word) { return word == 0; })) {
      return kEmpty;
    }
    const uint64_t key = hash(scratch_.data());
    const uint32_t* found = numbers_.find(key);
    if (found && std::equal(scratch_.begin(), scratch_.end(), of(*found))) return *found;
    const uint32_t set = take_number();
    std::copy(scratch_.begin(), scratch_.end(), chunk_of(set) + (set % kChunk) * words_);
    if (!found) numbers_.at(key) = set;  // else another set has that hash: this one is not shared
    return set;
  }
  uint32_t take_number() {
    if (!free_.empty()) {
      const uint32_t set = free_.back();
      free_.pop_back();
      return set;
    }
    users_.push_back(0);
    return static_cast<uint32_t>(users_.size() - 1);
  }
  uint64_t* chunk_of(uint32_t set) {
    std::unique_ptr<uint64_t[]>& chunk = owned_[set / kChunk];
    if (!chunk) {
      chunk = std::make_unique<uint64_t[]>(kChunk * words_);
      chunks_[set / kChunk].store(chunk.get(), std::memory_order_release);
    }
    return chunk.get();
  }

  const size_t words_;  // of a set
  std::vector<uint64_t> scratch_;
  std::vector<std::unique_ptr<uint64_t[]>> owned_ =
      std::vector<std::unique_ptr<uint64_t[]>>(kChunks);
  std::vector<std::atomic<uint64_t*>> chunks_ = std::vector<std::atomic<uint64_t*>>(kChunks);
  std::vector<uint32_t> users_;  // blocks that name the set
  WordMap<uint32_t> numbers_;    // of sets in use, by the hash of their words
  std::vector<uint32_t> free_;
  RetiredThings<uint32_t> retired_;
};

}  // namespace kvasir
