// One client-streaming gRPC call on a connection of its own: messages go out for as long as it
// lasts, and one day its end comes back. HTTP/2 without TLS and with prior knowledge.
//
// All calls happen on the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/event_loop.h"
#include "net/grpc_server.h"
#include "net/output_queue.h"
#include "net/socket.h"

struct nghttp2_session;

namespace kvasir {

struct GrpcSenderLimits {
  Duration connect_timeout = std::chrono::seconds(2);
  // Sent and not acknowledged by the other machine: then the connection is broken.
  std::chrono::milliseconds unacknowledged_timeout{5000};
  size_t message_bytes = 64 * 1024;  // of the grpc-message that is kept
};

class GrpcSender final : public IoHandler {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // The connection is there: the call begins.
    virtual void on_open() = 0;
    // The call is over. nullopt: the other side did not say how, the connection failed. Nothing
    // more is reported; the sender may be destroyed, but not in this call.
    virtual void on_end(std::optional<GrpcCode> code, std::string_view message) = 0;
  };

  // Begins to connect. `authority`: for the server, HOST:PORT. `loop` and `observer` must outlive
  // it. Nothing is reported before the constructor has returned.
  GrpcSender(EventLoop& loop, const SocketAddress& address, std::string_view authority,
             std::string_view path, Observer& observer, GrpcSenderLimits limits = {});
  ~GrpcSender() override;
  GrpcSender(const GrpcSender&) = delete;
  GrpcSender& operator=(const GrpcSender&) = delete;

  // Does nothing before on_open() and after on_end().
  void send(std::string_view message);
  // Messages that wait for the other side.
  size_t unsent_bytes() const { return waiting_.size() - taken_ + output_.size(); }

  void on_io(uint32_t events) override;

 private:
  friend struct GrpcSenderCallbacks;

  void connect(const SocketAddress& address);
  void on_connected();
  void start_call();
  void read();
  void write();
  void fail(std::string_view why);
  void end(std::optional<GrpcCode> code, std::string_view message);
  void close();

  EventLoop& loop_;
  Observer& observer_;
  const GrpcSenderLimits limits_;
  const std::string authority_;
  const std::string path_;
  Descriptor socket_;
  TimerId timer_ = kNoTimer;  // of connecting
  nghttp2_session* session_ = nullptr;
  int32_t stream_ = 0;
  ByteBuffer waiting_;  // framed messages
  size_t taken_ = 0;    // of waiting_
  OutputQueue output_;
  uint32_t watched_ = 0;
  bool connected_ = false;
  bool ended_ = false;
  bool stream_closed_ = false;
  std::optional<GrpcCode> code_;
  std::string message_;
};

}  // namespace kvasir
