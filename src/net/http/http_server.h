// An HTTP/1.1 server on one EventLoop: keep-alive, chunked uploads and answers, HEAD, 100-continue, limits
// on everything a client can make large or slow.
//
// A request is handed over when its whole body was read. One request runs at a time on a connection; what a
// client sends ahead (pipelining) waits. All calls happen on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/clock.h"
#include "base/result.h"
#include "net/http/http_head.h"
#include "net/io/socket.h"

namespace kvasir {

class Acceptor;
class BodyBudget;
class EventLoop;
class HttpConnection;
class HttpServer;
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

// One request and its answer. Lives in its connection, from HttpHandler::on_request() until the answer is
// complete (respond(), finish(), abort()) or Observer::on_client_gone() was called; do not touch it after.
class HttpExchange {
 public:
  // What happens while an answer is in the making. Set it when the answer is not given at once.
  class Observer {
   public:
    virtual ~Observer() = default;
    // The client closed, broke or stalled the connection. The exchange is gone.
    virtual void on_client_gone() = 0;
    // unsent_bytes() came back to 0.
    virtual void on_drained() {}
  };

  const HttpHead& head() const;
  // Replaces the request's target by its normal form (net/http/http_path.h), and the Host field
  // unless `host` is empty.
  void set_target(std::string_view target, std::string_view host);
  // The decoded body; valid until the exchange ends. When it is not empty, 64 bytes behind it may be read
  // (ByteBuffer::kReadablePadding).
  std::string_view body() const;
  // Gives the body's memory back before the exchange ends: an answer may stream for minutes.
  void release_body();
  void set_observer(Observer* observer);

  // A whole answer. `fields`: further header lines, each "Name: value\r\n"; Content-Length, Date-free.
  void respond(int status, std::string_view fields, std::string_view body);

  // An answer in pieces: chunked, or until close for an HTTP/1.0 client. HEAD gets the head only.
  void start(int status, std::string_view fields);
  void write(std::string_view piece);
  void finish();

  // A relayed answer: `head` is the whole head with its empty line, `bytes` its body as framed upstream.
  // `keep_alive`: whether that framing lets the connection be used again. The head goes out with the first bytes,
  // or at the end: follow it with one of them at once.
  void start_raw(std::string_view head, bool keep_alive);
  void write_raw(std::string_view bytes);
  void finish_raw();

  // Cuts the connection: the only honest end of an answer that cannot be completed.
  void abort();

  // Output that the client has not taken yet.
  size_t unsent_bytes() const;
  // Whether the client lets the connection be used again (so a relayed head should say so).
  bool client_keeps_alive() const;

 private:
  friend class HttpConnection;
  explicit HttpExchange(HttpConnection& connection) : connection_(connection) {}
  HttpConnection& connection_;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void on_request(HttpExchange& exchange) = 0;
  // The body and its header lines for a request that was refused before it was whole: 400, 408, 413, 417, 431, 503,
  // 505.
  struct Refusal {
    std::string fields;
    std::string body;
  };
  virtual Refusal on_refused(int status, std::string_view reason) = 0;
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
  size_t connections() const;

  // Stops accepting and closes idle connections; running exchanges go on, each answered with
  // "Connection: close". Calls `drained` when no connection is left (at once when there is none).
  void drain(std::function<void()> drained);

 private:
  friend class HttpConnection;
  void remove(HttpConnection& connection);

  EventLoop& loop_;
  HttpHandler& handler_;
  const HttpServerLimits limits_;
  BodyBudget* const bodies_;
  const TlsContext* const tls_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unordered_set<HttpConnection*> connections_;
  bool draining_ = false;
  std::function<void()> drained_;
};

// The reason phrase of a status code.
std::string_view status_text(int status);

}  // namespace kvasir
