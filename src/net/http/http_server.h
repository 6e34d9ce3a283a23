// An HTTP server on one EventLoop: keep-alive, chunked uploads and answers, HEAD, 100-continue,
// limits on everything a client can make large, slow or many.
//
// A connection speaks HTTP/1.1, or HTTP/2 when its client begins with the preface of HTTP/2 or,
// with TLS, when both agree on it (ALPN). A request is handed over when its whole body was read.
// Over HTTP/1 one request runs at a time on a connection; what a client sends ahead (pipelining)
// waits. All calls happen on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "net/http/http_exchange.h"
#include "net/http/http_status.h"
#include "net/io/socket.h"

namespace kvasir {

class Acceptor;
class BodyBudget;
class EventLoop;
struct HttpConnections;
class TlsContext;

struct HttpServerLimits {
  size_t head_bytes = 64 * 1024;                          // beyond: 431; chunk extensions and trailers too
  size_t head_fields = 2048;                              // beyond: 431
  size_t body_bytes = 64 * 1024 * 1024;                   // beyond: 413
  Duration head_timeout = std::chrono::seconds(20);       // first byte of a head to its last; beyond: 408
  Duration body_timeout = std::chrono::seconds(30);       // without a byte of body; beyond: 408
  Duration whole_body_timeout = std::chrono::minutes(5);  // first byte of a body to its last; beyond: 408
  Duration handshake_timeout =
      std::chrono::seconds(10);  // of TLS, from the connection's start; then cut
  Duration keep_alive_timeout = std::chrono::seconds(75);  // idle between requests; then closed
  Duration write_timeout = std::chrono::seconds(60);      // output that the client does not read; then cut
  size_t connections = 16384;                             // beyond: not accepted until one closes
  size_t pipelined_bytes = 16 * 1024;                     // read ahead of a running request
  // A client that ended its side may wait for its answer, or be gone. After so long without a byte of the answer it is
  // sent an interim one: who is gone resets the connection then.
  Duration half_close_patience = std::chrono::seconds(1);

  // Of HTTP/2.
  bool http2 = true;                       // false: a preface is refused like any other version
  uint32_t concurrent_streams = 100;       // of a connection; beyond: refused by HTTP/2
  uint32_t stream_window_bytes = 1 << 20;  // of a body on its way: a long prompt does not wait
  uint32_t connection_window_bytes = 16 << 20;  // the same of all streams together
  // Streams that end without an answer (RST_STREAM, or broken rules): each had work done for
  // nothing. Beyond so many at once, and so many in a second from then on, the connection is
  // closed.
  uint32_t resets_burst = 200;
  uint32_t resets_per_second = 50;
  // From the warning that a connection is about to end (GOAWAY) to its end for new streams: what is
  // on its way meanwhile is still answered.
  Duration goaway_notice = std::chrono::milliseconds(500);
};

class HttpServer {
 public:
  // Takes over the listening socket. `loop`, `handler` and `bodies` must outlive the server.
  // `bodies`: what the requests' bodies are counted against; beyond it 503. Null: nothing but the
  // limits of each. With `tls`, which must outlive the server, every connection is encrypted, each
  // with what the context holds when it begins, and speaks what the context says.
  HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
             HttpServerLimits limits = {}, BodyBudget* bodies = nullptr,
             const TlsContext* tls = nullptr);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  size_t connections() const;  // any thread

  // From now on each answer says "Connection: close" and ends its connection, and clients of HTTP/2
  // are told to open no more streams; new connections are taken as before. For the time in which
  // others learn that this server is about to go: whoever closes idle connections at once may cut
  // off a request that is on its way.
  void close_after_answers();

  // Stops accepting and closes idle connections; running exchanges go on, each answered with
  // "Connection: close". Calls `drained` when no connection is left (at once when there is none).
  void drain(std::function<void()> drained);

 private:
  const std::unique_ptr<HttpConnections> connections_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace kvasir
