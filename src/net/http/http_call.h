// One request of a client, whatever version of HTTP carries it, and who hears of its answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/http_head.h"

namespace kvasir {

struct HttpFailure {
  enum class Kind : uint8_t {
    kConnect,  // no connection: refused, unreachable, or too slow
    kClosed,   // closed or reset before the answer was complete
    kFirstByteTimeout,
    kIdleTimeout,
    kMalformed,  // the answer is not HTTP, or beyond a limit
  };
  // Of kConnect: why.
  enum class Cause : uint8_t {
    kOther,      // unreachable, for example
    kRefused,    // nobody listens there
    kTimedOut,   // neither taken nor refused in time
    kHandshake,  // the server was not believed, or speaks no TLS
  };
  Kind kind;
  std::string message;  // for people
  // The call had been sent before, on a kept-alive connection that was closed without an answer.
  bool resent = false;
  Cause cause = Cause::kOther;
};

// Told of an answer as it arrives. Exactly one of on_end() and on_failure() comes last, unless the
// call is cancelled. A call may be cancelled from any of these.
class HttpCallObserver {
 public:
  virtual ~HttpCallObserver() = default;
  virtual void on_head(const HttpHead& head) = 0;
  // Body bytes without their framing.
  virtual void on_body(std::string_view bytes) { static_cast<void>(bytes); }
  // The same bytes with their framing, after the on_body() calls for them: one call for each read.
  // Trailer fields are left out.
  virtual void on_raw(std::string_view bytes) { static_cast<void>(bytes); }
  virtual void on_end() = 0;
  virtual void on_failure(const HttpFailure& failure) = 0;
};

// One request under way. Owned by its client; valid until on_end(), on_failure() or cancel(). All
// on the client's loop.
class HttpCall {
 public:
  // Gives the call up and tells the server so. The observer hears no more.
  virtual void cancel() = 0;
  // Stops and goes on reading the answer, for a reader that cannot keep up.
  virtual void pause() = 0;
  virtual void resume() = 0;
  // Whether head and body were handed to the kernel for good; they need not stay valid any longer
  // then.
  virtual bool request_sent() const = 0;
  // Whether the server, or its kernel, took the connection.
  virtual bool connected() const = 0;

 protected:
  ~HttpCall() = default;
};

}  // namespace kvasir
