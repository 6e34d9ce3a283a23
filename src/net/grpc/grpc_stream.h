// One gRPC call on an HTTP/2 stream, at either end: messages to bytes and back, within limits.
// Private to net/.
//
// Owned by its connection's session, which hands it back when the stream ended: nothing here
// outlives that.
#pragma once

#include <string_view>

#include "net/grpc/grpc_connection.h"
#include "net/grpc/grpc_framing.h"
#include "net/http/http2_session.h"
#include "net/io/byte_buffer.h"

namespace kvasir {

class GrpcStream : public Http2Stream, protected GrpcDeframer::Sink {
 public:
  ~GrpcStream() override;

  // Http2Stream
  size_t output_size() const final { return output_.size() - taken_; }
  std::string_view take_output(size_t size) final;

  // All output was taken and written.
  void on_written();
  // The session has let go of the stream; `error`: of HTTP/2, 0 when it ended well.
  virtual void on_closed(uint32_t error) = 0;

 protected:
  explicit GrpcStream(GrpcConnection& connection);

  // Queues one message, given in two parts. False: that is more than a limit allows.
  bool queue(std::string_view first, std::string_view second);
  // The messages in `bytes` go to on_message().
  GrpcDeframer::Failure deframe(std::string_view bytes);
  // Part of a message has come, and there is no room for it.
  bool buffered_too_much() const;
  bool inside_message() const { return deframer_.inside_message(); }
  // Counts the fields received. False: they are beyond the limit.
  bool take_field(std::string_view name, std::string_view value);
  // The other side has taken everything.
  virtual void on_output_drained() = 0;

  GrpcConnection& connection_;
  int32_t id_ = 0;  // 0: the session has not taken it

 private:
  GrpcDeframer deframer_;
  size_t head_bytes_ = 0;
  ByteBuffer output_;  // framed messages
  size_t taken_ = 0;   // of output_
};

}  // namespace kvasir
