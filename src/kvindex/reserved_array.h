// An array that never moves: its addresses are reserved at once, its memory is taken as it grows,
// out of a budget. Nothing is given back before its end, so that a reader on another thread may
// look at any element that ever was, whatever the writer makes of it meanwhile.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <type_traits>

namespace kvasir {

// What may be taken in all. One thread takes; used() may be called on any.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  bool take(size_t bytes) {
    const size_t used = used_.load(std::memory_order_relaxed);
    if (bytes > bytes_max_ || used > bytes_max_ - bytes) return false;
    used_.store(used + bytes, std::memory_order_relaxed);
    return true;
  }
  void give(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t bytes_max() const { return bytes_max_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> used_{0};
};

// Elements are all zero bits at first.
template <class T>
class ReservedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  // Where the addresses cannot be had, nothing fits.
  ReservedArray(size_t elements_max, MemoryBudget& budget)
      : budget_(budget), reserved_bytes_(round_up(elements_max * sizeof(T), kHugePage)) {
    void* memory = mmap(nullptr, reserved_bytes_, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      reserved_bytes_ = 0;
      return;
    }
    data_ = static_cast<T*>(memory);
    madvise(memory, reserved_bytes_, MADV_HUGEPAGE);
  }
  ~ReservedArray() {
    if (data_ != nullptr) munmap(data_, reserved_bytes_);
    budget_.give(bytes_);
  }
  ReservedArray(const ReservedArray&) = delete;
  ReservedArray& operator=(const ReservedArray&) = delete;

  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return bytes_ / sizeof(T); }

  // Makes the first `elements` of them usable. False: there is no memory for them.
  bool reach(size_t elements) {
    const size_t needed = elements * sizeof(T);
    if (needed <= bytes_) return true;
    // Wherever it is touched first, a huge page is had only if all of it is usable then.
    const size_t ample = needed > kSmall ? round_up(needed, kHugePage)
                                         : round_up(std::max(needed, bytes_ + bytes_ / 4), kPage);
    return commit(std::min(ample, reserved_bytes_), needed) ||
           commit(round_up(needed, kPage), needed);
  }

 private:
  static constexpr size_t kPage = 4096;
  static constexpr size_t kHugePage = size_t{2} << 20;
  static constexpr size_t kSmall = size_t{1} << 20;
  static constexpr size_t round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
  }

  bool commit(size_t bytes, size_t needed) {
    if (bytes < needed || bytes > reserved_bytes_ || !budget_.take(bytes - bytes_)) return false;
    char* const end = reinterpret_cast<char*>(data_) + bytes_;
    if (mprotect(end, bytes - bytes_, PROT_READ | PROT_WRITE) != 0) {
      budget_.give(bytes - bytes_);
      return false;
    }
    bytes_ = bytes;
    return true;
  }

  MemoryBudget& budget_;
  size_t reserved_bytes_;
  T* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace kvasir
