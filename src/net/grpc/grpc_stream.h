// One gRPC call on an HTTP/2 stream. Private to net/.
//
// Owned by its connection's session, which hands it back when the stream ended: nothing here outlives
// that.
#pragma once

#include <string>
#include <string_view>

#include "net/grpc/grpc_framing.h"
#include "net/grpc/grpc_server.h"
#include "net/http/http2_session.h"
#include "net/io/byte_buffer.h"

namespace kvasir {

class GrpcStream final : public GrpcCall, public Http2Stream, private GrpcDeframer::Sink {
 public:
  GrpcStream(GrpcConnection& connection, int32_t id);
  ~GrpcStream() override;

  // GrpcCall
  void set_observer(Observer& observer) override { observer_ = &observer; }
  std::string_view path() const override { return path_; }
  std::optional<std::string_view> metadata(std::string_view name) const override;
  void send(std::string_view first, std::string_view second) override;
  void finish(GrpcCode code, std::string_view message) override;
  size_t unsent_bytes() const override { return output_.size() - taken_; }

  // Http2Stream
  void on_field(std::string_view name, std::string_view value) override;
  void on_head_end() override;
  void on_data(std::string_view bytes) override;
  void on_half_close() override;
  size_t output_size() const override { return unsent_bytes(); }
  std::string_view take_output(size_t size) override;
  bool output_complete() const override { return finished_; }
  void send_trailers() override;

  // All output was taken and written.
  void on_written();
  // The stream ended. Tells the observer, unless the call was finished.
  void on_closed();

 private:
  bool on_message(std::string_view message) override;
  void refuse_http(int status);
  void start_answer();
  void fail(GrpcDeframer::Failure failure);
  void lose();

  GrpcConnection& connection_;
  const int32_t id_;
  Observer* observer_ = nullptr;
  GrpcDeframer deframer_;
  std::string path_;
  std::string content_type_;
  std::string fields_;  // NAME '\0' VALUE '\0' ...
  size_t head_bytes_ = 0;
  bool post_ = false;
  bool started_ = false;   // response head submitted
  bool finished_ = false;  // finish() was called, or the stream is closed
  bool half_closed_ = false;
  ByteBuffer output_;  // framed messages
  size_t taken_ = 0;   // of output_
  GrpcCode code_ = GrpcCode::kOk;
  std::string message_;
};

}  // namespace kvasir
