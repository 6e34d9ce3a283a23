// Bytes of several places as they cross a socket together, as far as it takes or has them.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

class NixlChunk {
 public:
  enum class State : uint8_t { kWhole, kWaits, kBroken };  // kBroken: errno, or the peer has ended

  void clear();
  // What lies behind what was added last becomes one piece with it. The bytes stay where they are
  // until state kWhole, and are written to when it is received.
  void add(std::span<const std::byte> bytes);
  // Of everything after the first `skipped` pieces that were added.
  uint64_t checksum(size_t skipped) const;

  // What is still to come goes here instead, again and again. Only when receiving.
  void divert(std::span<std::byte> scratch);

  State send(int socket);
  // As much as is there.
  State receive(int socket);

  size_t bytes_left() const { return left_; }

 private:
  void begin();
  void advance(size_t bytes);

  std::vector<std::span<const std::byte>> pieces_;  // as they were added
  std::vector<iovec> rest_;                         // what is to come; from `at_` on
  size_t at_ = 0;
  size_t left_ = 0;
  bool begun_ = false;
};

}  // namespace kvasir
