// One client connection of a GrpcServer: a socket, an HTTP/2 session and the calls on it. Private
// to net/.
#pragma once

#include <memory>
#include <string_view>

#include "net/grpc/grpc_server.h"
#include "net/http/http2_session.h"
#include "net/io/event_loop.h"
#include "net/io/gather_buffer.h"
#include "net/io/socket.h"
#include "net/io/transport.h"

namespace kvasir {

class GrpcConnection final : public IoHandler, private Http2Session::StreamFactory {
 public:
  GrpcConnection(GrpcServer& server, Descriptor socket);
  ~GrpcConnection() override;

  void on_io(uint32_t events) override;
  void start_drain();
  // Closes and tells every call; the connection is destroyed at the end of the loop's iteration.
  void close_now();
  size_t calls() const { return session_.open_streams(); }

  // For the calls.
  const GrpcServerLimits& limits() const { return server_.limits_; }
  Http2Session& session() { return session_; }
  GrpcService* find(std::string_view path) const { return server_.find(path); }
  void schedule_write();
  void add_buffered(ptrdiff_t bytes) { buffered_ += static_cast<size_t>(bytes); }
  bool buffered_too_much() const { return buffered_ > limits().connection_buffered_bytes; }

 private:
  std::unique_ptr<Http2Stream> open_stream(int32_t id) override;
  void on_readable();
  bool receive(std::string_view bytes);
  void write();
  bool write_once();
  void report_streams();
  void update_watch();
  void on_tick();
  void schedule_tick();

  GrpcServer& server_;
  EventLoop& loop_;
  Transport transport_;
  size_t buffered_ = 0;
  Http2Session session_;
  GatherBuffer gather_;
  uint32_t watched_ = 0;
  bool write_scheduled_ = false;
  bool closed_ = false;
  bool received_ = false;   // any byte of HTTP/2
  bool ping_sent_ = false;  // and nothing heard since
  bool goaway_sent_ = false;
  const TimePoint accepted_at_;
  TimePoint last_heard_;
  TimePoint last_call_;
  TimePoint last_written_;  // or nothing to write
  TimerId tick_ = kNoTimer;
  TimerId final_goaway_ = kNoTimer;
};

}  // namespace kvasir
