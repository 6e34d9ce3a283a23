#include "net/io/byte_buffer.h"

#include <sys/mman.h>

#include <new>

namespace kvasir {
namespace {

constexpr size_t kPageBytes = 4096;

size_t whole_pages(size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace

void ByteBuffer::Release::operator()(char* bytes) const {
  if (mapped_bytes > 0) {
    munmap(bytes, mapped_bytes);
  } else {
    delete[] bytes;
  }
}

void ByteBuffer::grow(size_t needed) {
  const size_t capacity = needed > 2 * capacity_ ? needed : 2 * capacity_;
  if (capacity >= kMappedBytes) return move_to_mapping(capacity);
  std::unique_ptr<char[], Release> bytes(new char[capacity + kReadablePadding]);
  std::memset(bytes.get() + capacity, 0, kReadablePadding);
  if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
  bytes_ = std::move(bytes);
  capacity_ = capacity;
}

void ByteBuffer::move_to_mapping(size_t capacity) {
  const size_t before = bytes_.get_deleter().mapped_bytes;
  const size_t after = whole_pages(capacity + kReadablePadding);
  void* pages =
      before > 0 ? mremap(bytes_.get(), before, after, MREMAP_MAYMOVE)
                 : mmap(nullptr, after, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  if (before == 0 && size_ > 0) std::memcpy(pages, bytes_.get(), size_);
  if (before > 0) bytes_.release();
  bytes_ = std::unique_ptr<char[], Release>(static_cast<char*>(pages), Release{after});
  capacity_ = capacity;
}

}  // namespace kvasir
