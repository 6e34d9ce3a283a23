// gRPC's length-prefixed messages: one byte of flags, four of length, then the message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/io/byte_buffer.h"

namespace kvasir {

inline constexpr size_t kGrpcFrameHeadBytes = 5;

// The head of an uncompressed message of `size` bytes.
std::array<char, kGrpcFrameHeadBytes> grpc_frame_head(uint32_t size);

// Finds the messages in a stream of bytes that arrives in pieces. A message that lies whole in one piece
// is handed over in place; only one that spans pieces is copied together.
class GrpcDeframer {
 public:
  enum class Failure : uint8_t {
    kNone,
    kCompressed,  // the flag of a compressed message: no encoding was offered
    kBadFlags,    // any other flag
    kTooLarge,    // a message beyond the limit; found from its head, nothing of it is kept
  };

  class Sink {
   public:
    virtual ~Sink() = default;
    // `message` is valid during the call. False: nothing more is wanted of this piece.
    virtual bool on_message(std::string_view message) = 0;
  };

  explicit GrpcDeframer(size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  // Takes the whole piece, unless it fails or the sink has enough. After a failure: no more calls.
  Failure feed(std::string_view piece, Sink& sink);

  // Part of a message has arrived, its end has not.
  bool inside_message() const { return partial_.size() > 0; }
  size_t buffered_bytes() const { return partial_.size(); }

 private:
  struct Head {
    size_t size = 0;
    Failure failure = Failure::kNone;
  };
  Head read_head(const char* bytes) const;
  // Appends from `piece` until `partial_` holds `wanted` bytes; true when it does.
  bool fill(std::string_view& piece, size_t wanted);
  Failure finish_partial(std::string_view& piece, Sink& sink, bool& wanted);

  const size_t message_bytes_max_;
  ByteBuffer partial_;  // the beginning of a message, head included
};

}  // namespace kvasir
