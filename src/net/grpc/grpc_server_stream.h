// One call at a GrpcServer. Private to net/.
#pragma once

#include <string>
#include <string_view>

#include "net/grpc/grpc_server.h"
#include "net/grpc/grpc_stream.h"

namespace kvasir {

class GrpcServerStream final : public GrpcCall, public GrpcStream {
 public:
  GrpcServerStream(GrpcConnection& connection, int32_t id) : GrpcStream(connection) { id_ = id; }

  // GrpcCall
  void set_observer(Observer& observer) override { observer_ = &observer; }
  std::string_view path() const override { return path_; }
  std::optional<std::string_view> metadata(std::string_view name) const override;
  void send(std::string_view first, std::string_view second) override;
  void finish(GrpcCode code, std::string_view message) override;
  size_t unsent_bytes() const override { return output_size(); }

  // GrpcStream. Tells the observer of the end, unless the call was finished.
  void on_closed(uint32_t error) override;

 private:
  void on_field(std::string_view name, std::string_view value) override;
  void on_head_end(bool ends) override;
  void on_data(std::string_view bytes) override;
  void on_half_close() override;
  bool output_complete() const override { return finished_; }
  bool send_trailers() override;
  bool on_message(std::string_view message) override;
  void on_output_drained() override;

  void refuse_http(int status);
  void start_answer();
  void fail(GrpcDeframer::Failure failure);
  void lose(GrpcCode code, std::string_view message);

  Observer* observer_ = nullptr;
  std::string path_;
  std::string content_type_;
  std::string fields_;  // NAME '\0' VALUE '\0' ...
  bool post_ = false;
  bool fields_too_large_ = false;
  bool started_ = false;   // response head submitted
  bool finished_ = false;  // finish() was called, or the stream is closed
  GrpcCode code_ = GrpcCode::kOk;
  std::string message_;
};

}  // namespace kvasir
