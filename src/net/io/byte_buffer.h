// A growing run of bytes that does not zero what is about to be read into it. A large one lies in
// pages of its own: it grows without being copied, takes memory only as far as it is filled, and
// gives it back to the system at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace kvasir {

class ByteBuffer {
 public:
  // Bytes behind the content that may be read (their value means nothing), for parsers that read in
  // wide steps.
  static constexpr size_t kReadablePadding = 64;
  // From this capacity on it has pages of its own.
  static constexpr size_t kMappedBytes = 1024 * 1024;

  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {bytes_.get(), size_}; }
  void clear() { size_ = 0; }
  void release() {
    bytes_ = std::unique_ptr<char[], Release>();  // and forgets how it was got
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
  // Gives memory back the way it was got.
  struct Release {
    Release() : mapped_bytes(0) {}
    explicit Release(size_t bytes) : mapped_bytes(bytes) {}
    size_t mapped_bytes;  // 0: from the heap
    void operator()(char* bytes) const;
  };

  void grow(size_t needed);
  void move_to_mapping(size_t capacity);

  std::unique_ptr<char[], Release> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace kvasir
