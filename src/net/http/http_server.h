// An HTTP/1.1 server on one EventLoop: keep-alive, chunked uploads and answers, HEAD, 100-continue, limits
// on everything a client can make large or slow.
//
// A request is handed over when its whole body was read. One request runs at a time on a connection; what a
// client sends ahead (pipelining) waits. All calls happen on the loop's thread.
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
struct Http1Connections;
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
};

class HttpServer {
 public:
  // Takes over the listening socket. `loop`, `handler` and `bodies` must outlive the server.
  // `bodies`: what the requests' bodies are counted against; beyond it 503. Null: nothing but the
  // limits of each. With `tls`, which must outlive the server and speak HTTP/1, every connection is
  // encrypted, each with what the context holds when it begins.
  HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
             HttpServerLimits limits = {}, BodyBudget* bodies = nullptr,
             const TlsContext* tls = nullptr);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  size_t connections() const;  // any thread

  // From now on each answer says "Connection: close" and ends its connection; new ones are taken as
  // before. For the time in which others learn that this server is about to go: whoever closes idle
  // connections at once may cut off a request that is on its way.
  void close_after_answers();

  // Stops accepting and closes idle connections; running exchanges go on, each answered with
  // "Connection: close". Calls `drained` when no connection is left (at once when there is none).
  void drain(std::function<void()> drained);

 private:
  const std::unique_ptr<Http1Connections> connections_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace kvasir
