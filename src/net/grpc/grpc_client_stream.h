// One call of a GrpcClient. Private to net/.
#pragma once

#include <string>

#include "net/grpc/grpc_client.h"
#include "net/grpc/grpc_stream.h"
#include "net/io/event_loop.h"

namespace kvasir {

class GrpcClientStream final : public GrpcClientCall, public GrpcStream {
 public:
  GrpcClientStream(GrpcConnection& connection, Observer& observer);
  ~GrpcClientStream() override;

  // The session took it.
  void set_id(int32_t id) { id_ = id; }
  void start_deadline(Duration timeout);
  // Reports this end, and nothing later.
  void end(const GrpcStatus& status);

  // GrpcClientCall
  void send(std::string_view first, std::string_view second) override;
  void half_close() override;
  void cancel() override;
  size_t unsent_bytes() const override { return output_size(); }

  // GrpcStream. Reports the end if nobody has.
  void on_closed(uint32_t error) override;

 private:
  void on_field(std::string_view name, std::string_view value) override;
  void on_data(std::string_view bytes) override;
  void on_half_close() override { answered_ = true; }
  bool output_complete() const override { return half_closed_; }
  bool on_message(std::string_view message) override;
  void on_output_drained() override;

  bool going() const { return observer_ != nullptr && aborted_.code == 0; }
  void abort(GrpcCode code, std::string_view message);
  GrpcStatus status_of(uint32_t error) const;

  EventLoop& loop_;
  Observer* observer_;  // null once it has heard the end
  int http_status_ = 0;
  std::string grpc_status_;
  std::string grpc_message_;
  bool answered_ = false;
  bool half_closed_ = false;
  GrpcStatus aborted_;  // reported when the stream is closed, if its code is not 0
  TimerId deadline_ = kNoTimer;
};

}  // namespace kvasir
