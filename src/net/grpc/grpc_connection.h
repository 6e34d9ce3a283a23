// One connection of a GrpcServer or of a GrpcClient: a transport, an HTTP/2 session and the calls
// on it. Private to net/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "net/grpc/grpc_server.h"
#include "net/http/http2_session.h"
#include "net/io/event_loop.h"
#include "net/io/gather_buffer.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"
#include "net/io/transport.h"

namespace kvasir {

class GrpcConnection;

// What the connections of one server, or of one client, share.
struct GrpcConnections {
  EventLoop& loop;
  const GrpcServerLimits limits;  // of a client only those that servers share
  const std::vector<GrpcRoute> routes;
  std::unordered_set<GrpcConnection*> open{};
  GrpcConnection* current = nullptr;  // a client's: takes new calls
  bool draining = false;
  std::function<void()> drained = nullptr;  // called once when draining and none is open

  GrpcService* find(std::string_view path) const;
  // Of a connection that closed: it is destroyed at the end of the loop's iteration.
  void remove(GrpcConnection& connection);
};

// Where a client connects to.
struct GrpcTarget {
  SocketAddress address;
  std::string authority;  // HOST:PORT
  TlsPeer peer;
  Duration connect_timeout;
  std::chrono::milliseconds unacknowledged_timeout;
};

class GrpcConnection final : public IoHandler, private Http2Session::StreamFactory {
 public:
  // A server's, whose client has connected.
  GrpcConnection(GrpcConnections& connections, Descriptor socket, const TlsContext* tls);
  // A client's, which connects now. `target` must outlive it.
  GrpcConnection(GrpcConnections& connections, const GrpcTarget& target);
  ~GrpcConnection() override;

  void on_io(uint32_t events) override;
  // Lets running calls end, and takes no new ones.
  void start_drain();
  // Closes and tells every call.
  void close_now(std::string reason);
  // Closes, and no call hears of it any more.
  void abandon();
  bool takes_calls() const { return !closed_ && !session_.goaway_received(); }
  size_t calls() const { return session_.open_streams(); }

  // For the calls.
  EventLoop& loop() { return loop_; }
  const GrpcServerLimits& limits() const { return connections_.limits; }
  Http2Session& session() { return session_; }
  GrpcService* find(std::string_view path) const { return connections_.find(path); }
  bool encrypted() const { return transport_.encrypted(); }
  // Why it was closed; empty before.
  const std::string& failure() const { return failure_; }
  void schedule_write();
  void add_buffered(ptrdiff_t bytes) { buffered_ += static_cast<size_t>(bytes); }
  bool buffered_too_much() const { return buffered_ > limits().connection_buffered_bytes; }

 private:
  std::unique_ptr<Http2Stream> open_stream(int32_t id) override;
  void connect();
  void on_connected();
  void fail_connect(int error);
  void fail_handshake();
  void on_readable();
  bool receive(std::string_view bytes);
  void write();
  void report_streams();
  void update_watch();
  void on_tick();
  void schedule_tick();
  void detach();

  GrpcConnections& connections_;
  EventLoop& loop_;
  const GrpcTarget* const target_;  // null: a server's
  Transport transport_;
  size_t buffered_ = 0;
  Http2Session session_;
  GatherBuffer gather_;
  uint32_t watched_ = 0;
  bool connected_ = false;
  bool write_scheduled_ = false;
  bool closed_ = false;
  bool received_ = false;   // any byte of HTTP/2
  bool ping_sent_ = false;  // and nothing heard since
  bool goaway_sent_ = false;
  std::string failure_;
  const TimePoint began_;
  TimePoint last_heard_;
  TimePoint last_call_;
  TimePoint last_written_;  // or nothing to write
  TimerId connect_timer_ = kNoTimer;
  TimerId tick_ = kNoTimer;
  TimerId final_goaway_ = kNoTimer;
};

}  // namespace kvasir
