// One call of a GrpcClient: gRPC's messages and status over an HTTP/2 stream. Private to net/.
#pragma once

#include <string>

#include "net/grpc/grpc_client.h"
#include "net/grpc/grpc_framing.h"
#include "net/http/http2_client_session.h"
#include "net/io/byte_buffer.h"
#include "net/io/event_loop.h"

namespace kvasir {

class GrpcClientStream final : public Http2ClientStream,
                               public GrpcClientCall,
                               private GrpcDeframer::Sink {
 public:
  GrpcClientStream(GrpcClientConnection& connection, Observer& observer);
  ~GrpcClientStream();

  // The session took it.
  void set_id(int32_t id) { id_ = id; }
  void start_deadline(Duration timeout);
  // The session has let go of it; reports the end if nobody has.
  void on_closed(uint32_t error);
  void on_written();
  // Reports this end, and nothing later.
  void end(const GrpcStatus& status);

  void send(std::string_view first, std::string_view second) override;
  void half_close() override;
  void cancel() override;
  size_t unsent_bytes() const override { return output_.size() - taken_; }

 private:
  void on_field(std::string_view name, std::string_view value) override;
  void on_data(std::string_view bytes) override;
  void on_answer_end() override { answered_ = true; }
  size_t output_size() const override { return unsent_bytes(); }
  std::string_view take_output(size_t size) override;
  bool output_complete() const override { return half_closed_; }
  bool on_message(std::string_view message) override;

  void abort(GrpcCode code, std::string_view message);
  GrpcStatus status_of(uint32_t error) const;

  GrpcClientConnection& connection_;
  EventLoop& loop_;
  Observer* observer_;  // null once it has heard the end
  int32_t id_ = 0;
  GrpcDeframer deframer_;
  ByteBuffer output_;
  size_t taken_ = 0;
  size_t head_bytes_ = 0;
  int http_status_ = 0;
  std::string grpc_status_;
  std::string grpc_message_;
  bool answered_ = false;
  bool half_closed_ = false;
  GrpcStatus aborted_;  // reported when the stream is closed, if its code is not 0
  TimerId deadline_ = kNoTimer;
};

}  // namespace kvasir
