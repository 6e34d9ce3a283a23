// An HTTP/1.1 client on one EventLoop: a pool of kept-alive connections to one origin. All calls happen on
// the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "net/http/http_head.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"

namespace kvasir {

class EventLoop;
class HttpCall;
class HttpClient;

struct HttpClientLimits {
  Duration connect_timeout = std::chrono::seconds(5);  // with the TLS handshake, where there is one
  Duration first_byte_timeout = std::chrono::seconds(600);  // request sent to first byte of the answer
  Duration idle_timeout = std::chrono::seconds(300);        // without a byte while an answer is read
  Duration keep_alive_timeout = std::chrono::seconds(60);   // an unused connection is closed after it
  size_t head_bytes = 64 * 1024;    // of an answer; and of its chunk extensions and trailer fields
  size_t head_fields = 2048;
  uint32_t interim_answers = 16;    // 1xx before an answer
  size_t idle_connections = 1024;  // kept for later; more are closed when their answer is complete
  // A kept-alive connection that is closed within this time of a request, before any byte of the answer, is stale: its
  // server had given it up. The call is sent again on a new connection, once. Closed later: the server was at work.
  Duration stale_within = std::chrono::seconds(1);
};

struct HttpFailure {
  enum class Kind : uint8_t {
    kConnect,           // no connection: refused, unreachable, or too slow
    kClosed,            // closed or reset before the answer was complete
    kFirstByteTimeout,
    kIdleTimeout,
    kMalformed,         // the answer is not HTTP, or beyond a limit
  };
  Kind kind;
  std::string message;
  // The call had been sent before, on a kept-alive connection that was closed without an answer.
  bool resent = false;
};

// Told of an answer as it arrives. Exactly one of on_end() and on_failure() comes last, unless the call is
// cancelled. A call may be cancelled from any of these.
class HttpCallObserver {
 public:
  virtual ~HttpCallObserver() = default;
  virtual void on_head(const HttpHead& head) = 0;
  // Body bytes without their framing.
  virtual void on_body(std::string_view bytes) { static_cast<void>(bytes); }
  // The same bytes with their framing, after the on_body() calls for them: one call for each read. Trailer fields are
  // left out.
  virtual void on_raw(std::string_view bytes) { static_cast<void>(bytes); }
  virtual void on_end() = 0;
  virtual void on_failure(const HttpFailure& failure) = 0;
};

// One request under way. Owned by its client; valid until on_end(), on_failure() or cancel().
class HttpCall {
 public:
  // Gives the call up and closes its connection. The observer hears no more.
  void cancel();
  // Stops and goes on reading the answer, for a reader that cannot keep up.
  void pause();
  void resume();
  // Whether head and body were handed to the kernel for good; they need not stay valid any longer then.
  bool request_sent() const;
  // Whether the server, or its kernel, took the connection.
  bool connected() const;

 private:
  friend class HttpClientConnection;
  HttpCall() = default;
  class HttpClientConnection* connection_ = nullptr;
};

class HttpClient {
 public:
  // `loop` must outlive the client. With a `peer` that has a context, connections are encrypted;
  // its failed handshakes are connections that could not be made.
  HttpClient(EventLoop& loop, const SocketAddress& address, HttpClientLimits limits = {},
             TlsPeer peer = {});
  // Cancels the calls that are under way.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends `head` (request line, fields, empty line) and `body`. Both, and `observer`, must stay valid until
  // the call ends. `is_head_request`: the method is HEAD, so the answer has no body. `fresh_connection`: not one that
  // was kept alive. Nothing is reported before start() has returned.
  HttpCall& start(std::string_view head, std::string_view body, HttpCallObserver& observer,
                  bool is_head_request = false, bool fresh_connection = false);

  size_t connections() const { return connections_.size(); }

 private:
  friend class HttpClientConnection;

  void close_idle_until(uint64_t turn);

  EventLoop& loop_;
  const SocketAddress address_;
  const HttpClientLimits limits_;
  const TlsPeer peer_;
  std::unordered_set<class HttpClientConnection*> connections_;
  std::vector<class HttpClientConnection*> idle_;  // last used last: taken from the back
  uint64_t idle_turns_ = 0;                        // connections that became idle, ever
};

}  // namespace kvasir
