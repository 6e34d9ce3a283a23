// A growing run of bytes that does not zero what is about to be read into it.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace kvasir {

class ByteBuffer {
 public:
  // Bytes behind the content that may be read (their value means nothing), for parsers that read in wide steps.
  static constexpr size_t kReadablePadding = 64;

  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {bytes_.get(), size_}; }
  void clear() { size_ = 0; }
  void release() {
    bytes_.reset();
    size_ = capacity_ = 0;
  }

  // Room for `count` bytes behind the content; commit() says how many of them were filled.
  char* prepare(size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    return bytes_.get() + size_;
  }
  void commit(size_t count) { size_ += count; }

  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(prepare(bytes.size()), bytes.data(), bytes.size());
    commit(bytes.size());
  }
  void remove_prefix(size_t count) {
    if (count == 0) return;
    size_ -= count;
    std::memmove(bytes_.get(), bytes_.get() + count, size_);
  }

 private:
  void grow(size_t needed) {
    const size_t capacity = needed > 2 * capacity_ ? needed : 2 * capacity_;
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity + kReadablePadding);
    std::memset(bytes.get() + capacity, 0, kReadablePadding);
    if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace kvasir
