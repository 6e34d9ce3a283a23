// A client connection of an HttpServer that speaks HTTP/2: a transport, a session, and the requests
// on it. Private to net/.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/lifeline.h"
#include "net/http/http2_session.h"
#include "net/http/http_connections.h"
#include "net/io/gather_buffer.h"
#include "net/io/transport.h"

namespace kvasir {

class Http2Exchange;

class Http2ServerConnection final : public HttpConnection, private Http2Session::StreamFactory {
 public:
  Http2ServerConnection(HttpConnections& server, Transport transport);
  ~Http2ServerConnection() override;
  // What was read of it before, in two pieces. Called once.
  void begin(std::string_view first, std::string_view second);

  void on_io(uint32_t events) override;
  void ask_to_leave() override { start_goaway(); }
  void close_when_idle() override { start_goaway(); }

  // For the exchanges.
  const HttpServerLimits& limits() const { return server_.limits; }
  HttpHandler& handler() { return server_.handler; }
  BodyBudget* bodies() { return server_.bodies; }
  Http2Session& session() { return session_; }
  TimePoint now() const { return server_.loop.now(); }
  void schedule_write();
  // Goes to the handler once the session is done with what came.
  void note_whole(Http2Exchange& exchange) { whole_.push_back(&exchange); }
  // Ends the connection soon.
  void give_up(Http2Error why);

 private:
  std::unique_ptr<Http2Stream> open_stream(int32_t id) override;
  void on_readable();
  bool receive(std::string_view bytes);
  void write();
  void serve();
  bool may_reset();
  void update_watch();
  void start_goaway();
  void schedule_tick();
  void on_tick();
  void close_now();

  HttpConnections& server_;
  EventLoop& loop_;
  Transport transport_;
  Http2Session session_;
  GatherBuffer gather_;
  std::vector<Http2Exchange*> whole_;
  uint32_t watched_ = 0;
  bool write_scheduled_ = false;
  bool goaway_begun_ = false;
  bool given_up_ = false;
  bool closed_ = false;
  double resets_left_;
  TimePoint resets_counted_;
  TimePoint idle_since_;    // without a stream
  TimePoint last_written_;  // or nothing to write
  TimerId tick_ = kNoTimer;
  TimerId final_goaway_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
