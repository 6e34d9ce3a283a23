// A map of 64-bit numbers in one array: open addressing, no tombstones. Values are not 0. Its
// memory is taken out of a budget. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/random.h"
#include "kvindex/reserved_array.h"

namespace kvasir {

class NumberMap {
 public:
  explicit NumberMap(MemoryBudget& budget) : budget_(&budget) {}
  ~NumberMap() { reset(); }
  NumberMap(NumberMap&& other) noexcept
      : budget_(other.budget_),
        entries_(std::move(other.entries_)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  NumberMap& operator=(NumberMap&&) = delete;

  size_t size() const { return size_; }
  // nullptr: there is none. Valid until the next insert() or erase().
  uint64_t* find(uint64_t key) {
    if (size_ == 0) return nullptr;
    Entry& entry = entries_[place_of(key)];
    return entry.value == 0 ? nullptr : &entry.value;
  }
  const uint64_t* find(uint64_t key) const { return const_cast<NumberMap*>(this)->find(key); }
  // For a find(), insert() or erase() that comes soon: places are seldom in the processor's cache.
  void prefetch(uint64_t key) const {
    if (capacity_ > 0) __builtin_prefetch(&entries_[home(key)], 1);
  }
  // False: there is no memory. Precondition: the key is not there, and the value is not 0.
  bool insert(uint64_t key, uint64_t value) {
    if (4 * (size_ + 1) > 3 * capacity_ && !grow()) return false;
    entries_[place_of(key)] = {key, value};
    ++size_;
    return true;
  }
  // Precondition: the key is there.
  void erase(uint64_t key) {
    size_t hole = place_of(key);
    // Whatever was pushed past the hole moves back, or it would not be found any more.
    for (size_t i = next(hole); entries_[i].value != 0; i = next(i)) {
      const size_t wanted = home(entries_[i].key);
      const bool reachable = hole < i ? wanted > hole && wanted <= i : wanted > hole || wanted <= i;
      if (reachable) continue;
      entries_[hole] = entries_[i];
      hole = i;
    }
    entries_[hole].value = 0;
    --size_;
  }
  template <class OnEntry>
  void for_each(OnEntry&& on_entry) const {
    for (size_t i = 0; i < capacity_; ++i) {
      if (entries_[i].value != 0) on_entry(entries_[i].key, entries_[i].value);
    }
  }
  void reset() {
    entries_.reset();
    budget_->give(capacity_ * sizeof(Entry));
    capacity_ = size_ = 0;
  }

 private:
  struct Entry {
    uint64_t key = 0;
    uint64_t value = 0;  // 0: the place is empty
  };

  size_t home(uint64_t key) const {
    return static_cast<size_t>((static_cast<Wide>(mix64(key)) * capacity_) >> 64);
  }
  size_t next(size_t place) const { return place + 1 == capacity_ ? 0 : place + 1; }
  size_t place_of(uint64_t key) const {
    size_t place = home(key);
    while (entries_[place].value != 0 && entries_[place].key != key) place = next(place);
    return place;
  }
  bool grow() {
    const size_t capacity = capacity_ + capacity_ / 2 + 8;
    if (!budget_->take(capacity * sizeof(Entry))) return false;
    const std::unique_ptr<Entry[]> old = std::move(entries_);
    const size_t old_capacity = capacity_;
    entries_ = std::make_unique<Entry[]>(capacity);
    capacity_ = capacity;
    for (size_t i = 0; i < old_capacity; ++i) {
      if (old[i].value != 0) entries_[place_of(old[i].key)] = old[i];
    }
    budget_->give(old_capacity * sizeof(Entry));
    return true;
  }

  MemoryBudget* budget_;
  std::unique_ptr<Entry[]> entries_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace kvasir
