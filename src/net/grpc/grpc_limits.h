// What holds for the calls of servers and of clients alike.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvasir {

struct GrpcLimits {
  uint32_t head_bytes = 64 * 1024;          // fields received; beyond: RESOURCE_EXHAUSTED
  size_t message_bytes = 64 * 1024 * 1024;  // one message received; beyond: RESOURCE_EXHAUSTED
  // Unsent, of one call; beyond: the call ends.
  size_t stream_output_bytes = 64 * 1024 * 1024;
  // Partial messages and unsent ones of all calls of a connection; beyond: the call that needs more
  // is ended with RESOURCE_EXHAUSTED.
  size_t connection_buffered_bytes = 512 * 1024 * 1024;
  // Flow control: a 100,000-token prompt must not wait for a window.
  uint32_t connection_window_bytes = 64 * 1024 * 1024;
  uint32_t stream_window_bytes = 4 * 1024 * 1024;
};

// Status codes of gRPC that this project uses.
enum class GrpcCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kUnauthenticated = 16,
};

}  // namespace kvasir
