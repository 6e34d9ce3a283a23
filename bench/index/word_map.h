// A hash map from 64 bits to a small value: open addressing, linear probing, deletion by shifting
// back, half to three quarters full. For the workload and the contenders. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/random.h"
#include "index/huge_array.h"

namespace kvasir {

template <class Value>
class WordMap {
 public:
  size_t size() const { return size_ + (of_zero_ ? 1 : 0); }

  // nullptr: it is not there. Valid until the map changes.
  Value* find(uint64_t key) {
    if (key == 0) return of_zero_ ? &*of_zero_ : nullptr;
    if (size_ == 0) return nullptr;
    Slot& slot = slots_[place_of(key)];
    return slot.key != 0 ? &slot.value : nullptr;
  }
  const Value* find(uint64_t key) const { return const_cast<WordMap*>(this)->find(key); }

  // The value of `key`, made when it is not there.
  Value& at(uint64_t key) {
    if (key == 0) return of_zero_ ? *of_zero_ : of_zero_.emplace();
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    Slot& slot = slots_[place_of(key)];
    if (slot.key == 0) {
      slot = {key, Value{}};
      ++size_;
    }
    return slot.value;
  }

  bool erase(uint64_t key) {
    if (find(key) == nullptr) return false;
    if (key == 0) {
      of_zero_.reset();
      return true;
    }
    size_t hole = place_of(key);
    for (size_t slot = next(hole); slots_[slot].key != 0; slot = next(slot)) {
      // An entry may move to the hole unless its home lies behind it.
      if (distance(home(slots_[slot].key), slot) < distance(hole, slot)) continue;
      slots_[hole] = slots_[slot];
      hole = slot;
    }
    slots_[hole] = {};
    --size_;
    return true;
  }

  void clear() {
    slots_ = {};
    size_ = 0;
    of_zero_.reset();
  }

  void prefetch(uint64_t key) const {
    if (size_ > 0) __builtin_prefetch(&slots_[home(key)]);
  }

  template <class Function>
  void for_each(Function&& function) const {
    if (of_zero_) function(uint64_t{0}, *of_zero_);
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].key != 0) function(slots_[i].key, slots_[i].value);
    }
  }

 private:
  struct Slot {
    uint64_t key;  // 0: the slot is empty
    Value value;
  };

  size_t home(uint64_t key) const {
    return static_cast<size_t>((static_cast<Wide>(key * 0x9e3779b97f4a7c15ULL) * slots_.size()) >>
                               64);
  }
  size_t next(size_t slot) const { return slot + 1 == slots_.size() ? 0 : slot + 1; }
  size_t distance(size_t from, size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }
  // The slot that holds `key`, or the empty one where it belongs.
  size_t place_of(uint64_t key) const {
    size_t slot = home(key);
    while (slots_[slot].key != 0 && slots_[slot].key != key) slot = next(slot);
    return slot;
  }
  void grow() {
    HugeArray<Slot> old(slots_.size() < 16 ? 16 : slots_.size() + slots_.size() / 2);
    old.swap(slots_);
    for (size_t i = 0; i < old.size(); ++i) {
      if (old[i].key != 0) slots_[place_of(old[i].key)] = old[i];
    }
  }

  HugeArray<Slot> slots_;
  size_t size_ = 0;  // without that of key 0
  std::optional<Value> of_zero_;
};

}  // namespace kvasir
