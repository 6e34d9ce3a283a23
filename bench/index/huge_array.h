// An array of zeros in memory of its own, in huge pages where the system has them: for the tables
// of the contenders, which look at random places in it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace kvasir {

template <class T>
class HugeArray {
 public:
  HugeArray() = default;
  explicit HugeArray(size_t size) : size_(size) {
    if (size == 0) return;
    if (!mapped()) {
      items_ = static_cast<T*>(std::calloc(size, sizeof(T)));
    } else {
      void* memory = mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory != MAP_FAILED) items_ = static_cast<T*>(memory);
      if (items_ != nullptr) madvise(memory, size * sizeof(T), MADV_HUGEPAGE);
    }
    if (items_ == nullptr) std::abort();
  }
  ~HugeArray() {
    static_assert(std::is_trivially_destructible_v<T>);
    if (mapped()) {
      munmap(static_cast<void*>(items_), size_ * sizeof(T));
    } else {
      std::free(static_cast<void*>(items_));
    }
  }
  HugeArray(HugeArray&& other) noexcept { swap(other); }
  HugeArray& operator=(HugeArray&& other) noexcept {
    HugeArray(std::move(other)).swap(*this);
    return *this;
  }
  void swap(HugeArray& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(size_, other.size_);
  }

  size_t size() const { return size_; }
  T& operator[](size_t i) { return items_[i]; }
  const T& operator[](size_t i) const { return items_[i]; }

 private:
  bool mapped() const { return size_ * sizeof(T) >= (size_t{4} << 20); }

  T* items_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvasir
