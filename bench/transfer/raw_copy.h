// The same bytes with nothing around them: what the connectors are measured against.
#pragma once

#include <cstddef>
#include <vector>

#include "net/io/socket.h"

namespace kvasir::bench {

// From one thread's memory to another's, over a TCP connection of this machine.
class RawTcpCopy {
 public:
  explicit RawTcpCopy(size_t bytes);
  double seconds();

 private:
  std::vector<std::byte> from_, to_;
  Descriptor sender_, receiver_;
};

}  // namespace kvasir::bench
