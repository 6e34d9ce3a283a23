// The table of the flat contender: blocks by their hash, and the same blocks by the engine hash
// that was said first. One thread writes; find_set() may be called on any thread.
//
// Open addressing twice: 24 bytes a slot by block hash, and 4 bytes a slot by engine hash, which
// hold the number of the block's slot and 6 bits of the engine hash. A removed block leaves
// tombstones, which the next block that comes along takes. Slots never move: when too few are empty
// it is written anew into another table.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/random.h"
#include "index/huge_array.h"
#include "model/block_hash.h"

namespace kvasir {

class FlatTable {
 public:
  static constexpr uint64_t kEmptyKey = 0;
  static constexpr uint64_t kTombstone = 1;
  static constexpr size_t kSlotsMost = (size_t{1} << 26) - 2;

  struct Slot {
    std::atomic<uint64_t> key;
    std::atomic<uint32_t> set;  // of its holders; 0: nobody
    uint32_t named;             // it can be found by its name; of the writer
    uint64_t name;              // the engine hash that was said first; of the writer
  };

  explicit FlatTable(size_t slots) : slots_(slots), names_(slots) {}

  // The hash of a block as a key: two values mean something else.
  static constexpr uint64_t key_of(BlockHash hash) { return hash <= kTombstone ? hash + 2 : hash; }

  size_t capacity() const { return slots_.size(); }
  size_t live() const { return live_; }
  bool crowded() const {
    return (used_ + 1) * 5 > slots_.size() * 4 || (used_names_ + 1) * 5 > slots_.size() * 4;
  }
  void prefetch(uint64_t key) const { __builtin_prefetch(&slots_[home(key)]); }
  void prefetch_name(uint64_t name) const { __builtin_prefetch(&names_[home(mixed(name))]); }

  // Any thread. 0: nobody has it.
  uint32_t find_set(uint64_t key) const {
    for (size_t i = home(key);; i = next(i)) {
      const uint64_t found = slots_[i].key.load(std::memory_order_acquire);
      if (found == kEmptyKey) return 0;
      if (found != key) continue;
      const uint32_t set = slots_[i].set.load(std::memory_order_acquire);
      // Another block may have taken the slot in between.
      return slots_[i].key.load(std::memory_order_relaxed) == key ? set : 0;
    }
  }

  Slot* find(uint64_t key) {
    for (size_t i = home(key);; i = next(i)) {
      const uint64_t found = slots_[i].key.load(std::memory_order_relaxed);
      if (found == key) return &slots_[i];
      if (found == kEmptyKey) return nullptr;
    }
  }
  // The block whose first name that is. nullptr: none.
  Slot* find_name(uint64_t name) {
    for (size_t i = home(mixed(name)); names_[i] != kNoName; i = next(i)) {
      if (Slot* slot = slot_of(names_[i], name)) return slot;
    }
    return nullptr;
  }

  // Precondition: neither the key nor the name is there, and the table is not crowded.
  // `named`: false leaves out the name.
  void add(uint64_t key, uint32_t set, uint64_t name, bool named) {
    size_t i = home(key);
    while (slots_[i].key.load(std::memory_order_relaxed) > kTombstone) i = next(i);
    Slot& slot = slots_[i];
    if (slot.key.load(std::memory_order_relaxed) == kEmptyKey) ++used_;
    ++live_;
    slot.name = name;
    slot.named = named ? 1 : 0;
    slot.set.store(set, std::memory_order_relaxed);
    slot.key.store(key, std::memory_order_release);
    if (named) add_name(i, name);
  }
  static bool is_named(const Slot& slot) { return slot.named != 0; }

  void erase(Slot* slot) {
    if (is_named(*slot)) erase_name(slot);
    size_t i = static_cast<size_t>(slot - &slots_[0]);
    slot->set.store(0, std::memory_order_relaxed);
    slot->key.store(kTombstone, std::memory_order_release);
    --live_;
    // Nothing lies behind an empty slot: tombstones before one are empty too.
    if (slots_[next(i)].key.load(std::memory_order_relaxed) != kEmptyKey) return;
    for (; slots_[i].key.load(std::memory_order_relaxed) == kTombstone; i = before(i)) {
      slots_[i].key.store(kEmptyKey, std::memory_order_release);
      --used_;
    }
  }
  Slot& slot(size_t i) { return slots_[i]; }

 private:
  static constexpr uint32_t kNoName = 0;
  static constexpr uint32_t kGoneName = UINT32_MAX;
  static constexpr uint32_t kNumber = (uint32_t{1} << 26) - 1;

  static uint64_t mixed(uint64_t name) { return name * 0x9e3779b97f4a7c15ULL; }
  static uint32_t tag(uint64_t name) { return static_cast<uint32_t>(mixed(name)) << 26; }
  size_t home(uint64_t key) const {
    return static_cast<size_t>((static_cast<Wide>(key) * slots_.size()) >> 64);
  }
  size_t next(size_t i) const { return i + 1 == slots_.size() ? 0 : i + 1; }
  size_t before(size_t i) const { return i == 0 ? slots_.size() - 1 : i - 1; }

  Slot* slot_of(uint32_t entry, uint64_t name) {
    if (entry == kGoneName || (entry & ~kNumber) != tag(name)) return nullptr;
    Slot& slot = slots_[(entry & kNumber) - 1];
    return slot.name == name ? &slot : nullptr;
  }
  void add_name(size_t number, uint64_t name) {
    size_t i = home(mixed(name));
    while (names_[i] != kNoName && names_[i] != kGoneName) i = next(i);
    if (names_[i] == kNoName) ++used_names_;
    names_[i] = tag(name) | static_cast<uint32_t>(number + 1);
  }
  void erase_name(const Slot* slot) {
    size_t i = home(mixed(slot->name));
    while (slot_of(names_[i], slot->name) != slot) i = next(i);
    names_[i] = kGoneName;
    if (names_[next(i)] != kNoName) return;
    for (; names_[i] == kGoneName; i = before(i)) {
      names_[i] = kNoName;
      --used_names_;
    }
  }

  HugeArray<Slot> slots_;
  HugeArray<uint32_t> names_;
  size_t live_ = 0;
  size_t used_ = 0, used_names_ = 0;  // with tombstones
};

}  // namespace kvasir
