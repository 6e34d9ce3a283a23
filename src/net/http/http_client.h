// An HTTP/1.1 client on one EventLoop: a pool of kept-alive connections to one origin. All calls happen on
// the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "net/http/http_call.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"

namespace kvasir {

class EventLoop;
struct Http1Pool;

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
  // An answer that comes in small pieces, one quickly after the other, is read this often and no
  // more: many pieces cost as much as one then. No piece waits longer than this, and none does that
  // comes this long after the one before. Zero: each is read when it comes.
  Duration gather_interval = Duration::zero();
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

  size_t connections() const;

 private:
  const std::unique_ptr<Http1Pool> pool_;
};

}  // namespace kvasir
