// One connection of a GrpcClient: a socket, an HTTP/2 session and the calls on it. Private to net/.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/lifeline.h"
#include "net/grpc/grpc_client.h"
#include "net/grpc/grpc_client_call.h"
#include "net/http/http2_client_session.h"
#include "net/io/event_loop.h"
#include "net/io/gather_buffer.h"
#include "net/io/transport.h"

namespace kvasir {

class GrpcClientConnection final : public IoHandler {
 public:
  explicit GrpcClientConnection(GrpcClient& client);
  ~GrpcClientConnection() override;

  void on_io(uint32_t events) override;
  GrpcClientCall& start(std::string_view path, GrpcClientCall::Observer& observer, Duration timeout,
                        const std::vector<GrpcClient::Field>& fields);
  bool takes_calls() const { return !closed_ && !session_.goaway_received(); }
  // Of the client's destructor: no observer hears anything.
  void abandon();

  // For the calls.
  EventLoop& loop() { return loop_; }
  const GrpcClientLimits& limits() const { return client_->limits_; }
  Http2ClientSession& session() { return session_; }
  void schedule_write();
  const std::string& failure() const { return failure_; }

 private:
  void connect();
  void on_connected();
  void on_ready();
  void fail_connect(int error);
  void fail_handshake();
  void on_readable();
  void write();
  void report_streams();
  void update_watch();
  void close_now(std::string reason);
  void refuse(std::unique_ptr<GrpcClientStream> stream, GrpcCode code, std::string message);

  GrpcClient* client_;
  EventLoop& loop_;
  Transport transport_;
  Http2ClientSession session_;
  GatherBuffer gather_;
  uint32_t watched_ = 0;
  bool connected_ = false;
  bool write_scheduled_ = false;
  bool closed_ = false;
  std::string failure_;  // why it was closed
  TimerId connect_timer_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
