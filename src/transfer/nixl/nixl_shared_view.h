// The KV memory of another process of this machine, mapped read-only by its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace kvasir {

class NixlSharedView {
 public:
  // The error: there is no memory of that name, or it has another size.
  static Result<NixlSharedView> open(const std::string& name, uint64_t blocks,
                                     uint64_t block_bytes);
  ~NixlSharedView();
  NixlSharedView(NixlSharedView&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)),
        blocks_(other.blocks_),
        block_bytes_(other.block_bytes_) {}
  NixlSharedView& operator=(NixlSharedView&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(blocks_, other.blocks_);
    std::swap(block_bytes_, other.block_bytes_);
    return *this;
  }

  uint64_t blocks() const { return blocks_; }
  // Precondition: block < blocks(). Its owner may be writing to it.
  std::span<const std::byte> block(uint32_t block) const {
    return {begin_ + block * block_bytes_, block_bytes_};
  }

 private:
  NixlSharedView(const std::byte* begin, uint64_t blocks, uint64_t block_bytes)
      : begin_(begin), blocks_(blocks), block_bytes_(block_bytes) {}

  const std::byte* begin_ = nullptr;
  uint64_t blocks_ = 0, block_bytes_ = 0;
};

// Of all processes that see the same shared memory: names the running system. Empty: unknown.
std::string this_machine();

}  // namespace kvasir
