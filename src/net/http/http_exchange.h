// One request at a server and its answer, whatever version of HTTP the client speaks; and who
// handles requests.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "net/http/http_head.h"

namespace kvasir {

// An answer that goes to the client in the very bytes in which another server framed it as HTTP/1.
// What an exchange can do whose client speaks HTTP/1; instead of its start(), write() and finish().
class RawRelay {
 public:
  // Whether the client lets the connection be used again (so a relayed head should say so).
  virtual bool client_keeps_alive() const = 0;
  // `head` is the whole head with its empty line. `keep_alive`: whether the framing lets the
  // connection be used again. The head goes out with the first bytes, or at the end: follow it with
  // one of them at once.
  virtual void start_raw(std::string_view head, bool keep_alive) = 0;
  // Bytes of the body with their framing. How many bytes the client has not taken yet.
  virtual size_t write_raw(std::string_view bytes) = 0;
  virtual void finish_raw() = 0;

 protected:
  ~RawRelay() = default;
};

// Lives in its connection, from HttpHandler::on_request() until the answer is complete (respond(),
// finish(), abort()) or Observer::on_client_gone() was called; do not touch it after. All on the
// server's loop.
class HttpExchange {
 public:
  // What happens while an answer is in the making. Set it when the answer is not given at once.
  class Observer {
   public:
    virtual ~Observer() = default;
    // The client closed, broke or stalled the connection. The exchange is gone.
    virtual void on_client_gone() = 0;
    // The same to whoever answers, but that the time for it is over; the client is told by whoever
    // says so.
    virtual void on_time_over() { on_client_gone(); }
    // unsent_bytes() came back to 0.
    virtual void on_drained() {}
  };

  // Somebody between server and handler who wants to know what only the handler sees.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // The request goes to that server now; of several, the last one counts.
    virtual void on_sent_to(std::string_view server) = 0;
    // The next bytes of an answer's body, without framing, as the server sent them.
    virtual void on_answer_body(std::string_view bytes) = 0;
  };

  virtual const HttpHead& head() const = 0;
  // Replaces the request's target by its normal form (net/http/http_path.h), and the Host field
  // unless `host` is empty.
  virtual void set_target(std::string_view target, std::string_view host) = 0;
  // The request's fields, to be changed before they are passed on; those that frame its body, and
  // those of the connection, were read already. Views of them that were given before are invalid.
  virtual HttpHead& editable_head() = 0;
  // The decoded body; valid until the exchange ends. When it is not empty, 64 bytes behind it may
  // be read (ByteBuffer::kReadablePadding).
  virtual std::string_view body() const = 0;
  // Gives the body's memory back before the exchange ends: an answer may stream for minutes.
  virtual void release_body() = 0;
  virtual void set_observer(Observer* observer) = 0;

  // A whole answer. `fields`: further header lines, each "Name: value\r\n"; Content-Length,
  // Date-free.
  virtual void respond(int status, std::string_view fields, std::string_view body) = 0;

  // An answer in pieces, framed as the client's protocol has it. HEAD gets the head only.
  virtual void start(int status, std::string_view fields) = 0;
  virtual void write(std::string_view piece) = 0;
  // `trailers`: field lines behind the body; dropped where the framing has no place for them.
  virtual void finish(std::string_view trailers = {}) = 0;
  // Null: the client's protocol takes no bytes that were framed elsewhere. The same at every call.
  virtual RawRelay* raw() = 0;

  // Cuts the answer off: the only honest end of one that cannot be completed.
  virtual void abort() = 0;

  // Output that the client has not taken yet.
  virtual size_t unsent_bytes() const = 0;

  // Null: nobody. Who wraps an exchange gives the one of the exchange inside.
  virtual Watcher* watcher() { return nullptr; }

 protected:
  ~HttpExchange() = default;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual void on_request(HttpExchange& exchange) = 0;
  // The body and its header lines for a request that was refused before it was whole: 400, 408,
  // 413, 417, 431, 503, 505.
  struct Refusal {
    std::string fields;
    std::string body;
  };
  virtual Refusal on_refused(int status, std::string_view reason) = 0;
};

}  // namespace kvasir
