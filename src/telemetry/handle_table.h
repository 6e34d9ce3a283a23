// From a few label values to the metrics that carry them: found without a lock and without building
// a string, as every request wants it.
//
// Nothing is ever removed, so what was found stays valid for the table's life. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace kvasir {

// Up to three texts and a number. Which of them mean something is the table's owner's business.
struct HandleKey {
  std::array<std::string_view, 3> texts = {};
  int64_t number = 0;

  size_t hash() const {
    size_t hash = static_cast<size_t>(number) * 0x9e3779b97f4a7c15ull;
    for (const std::string_view text : texts) {
      hash = (hash ^ std::hash<std::string_view>{}(text)) * 0x9e3779b97f4a7c15ull;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

template <class T>
class HandleTable {
 public:
  // Room for `capacity` entries; a power of two is set aside, at least twice as large.
  explicit HandleTable(size_t capacity) : capacity_(capacity) {
    while (slot_count_ < 2 * capacity) slot_count_ *= 2;
    slots_ = std::make_unique<std::atomic<Entry*>[]>(slot_count_);
  }
  ~HandleTable() {
    for (size_t i = 0; i < slot_count_; ++i) delete slots_[i].load(std::memory_order_relaxed);
  }
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Null when it is not there.
  T* find(const HandleKey& key) const {
    const size_t hash = key.hash();
    for (size_t i = hash;; ++i) {
      Entry* entry = slots_[i & (slot_count_ - 1)].load(std::memory_order_acquire);
      if (entry == nullptr) return nullptr;
      if (entry->hash == hash && entry->is(key)) return &entry->value;
    }
  }

  // The value of that key, made by make() -> T when it is new; null when the table is full.
  template <class Make>
  T* find_or_make(const HandleKey& key, Make&& make) {
    if (T* found = find(key)) return found;
    std::lock_guard<std::mutex> lock(mutex_);
    if (T* found = find(key)) return found;
    if (size_.load(std::memory_order_relaxed) == capacity_) return nullptr;
    const size_t hash = key.hash();
    size_t place = hash;
    while (slots_[place & (slot_count_ - 1)].load(std::memory_order_relaxed) != nullptr) ++place;
    auto* entry = new Entry(key, hash, std::forward<Make>(make)());
    slots_[place & (slot_count_ - 1)].store(entry, std::memory_order_release);
    size_.fetch_add(1, std::memory_order_relaxed);
    return &entry->value;
  }

  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    Entry(const HandleKey& key, size_t key_hash, T made)
        : hash(key_hash), number(key.number), value(std::move(made)) {
      for (size_t i = 0; i < texts.size(); ++i) texts[i] = key.texts[i];
    }
    bool is(const HandleKey& key) const {
      return number == key.number && texts[0] == key.texts[0] && texts[1] == key.texts[1] &&
             texts[2] == key.texts[2];
    }
    const size_t hash;
    const int64_t number;
    std::array<std::string, 3> texts;
    T value;
  };

  const size_t capacity_;
  size_t slot_count_ = 1;
  std::unique_ptr<std::atomic<Entry*>[]> slots_;
  std::atomic<size_t> size_{0};
  std::mutex mutex_;
};

}  // namespace kvasir
