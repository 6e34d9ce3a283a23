// Reads HTTP/1 messages from bytes as they arrive, without a socket. Strict
// (net/http/http1_grammar.h): a request must say how its body ends, and what two programs could
// read differently is malformed. Keeps at most one line of a head that is not whole yet, and
// nothing of a body. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/http1_chunks.h"
#include "net/http/http1_grammar.h"
#include "net/http/http_head.h"

namespace kvasir {

class Http1Parser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };
  enum class Failure : uint8_t {
    kNone,
    kHeadTooLarge,  // or chunk extensions and trailer fields are
    kMalformed,
    kUnknownVersion,  // of a request
    kHttp2Preface,    // kHttp2FirstLine came first, and nothing behind it is consumed
    kTruncated,       // end of input inside a message
  };
  // What a client begins with that speaks HTTP/2 (RFC 9113, 3.4).
  static constexpr std::string_view kHttp2FirstLine = "PRI * HTTP/2.0\r\n";
  // Takes decoded body bytes as they are found; the view is valid during the call.
  using BodySink = Http1Chunks::Sink;

  struct Limits {
    size_t head_bytes;     // and, once more, of chunk extensions and trailer fields
    size_t fields = 2048;  // of a head
  };

  Http1Parser(Kind kind, Limits limits);

  // Gets ready for the next message. `answers_head`: the message answers a HEAD request and has no
  // body.
  void reset(bool answers_head = false);

  // Consumes what belongs to the message from the front of `input` and says how many bytes. Stops
  // after the head, before and after trailer fields, and after the message; call again with the
  // rest. On failure() the connection is of no more use.
  size_t feed(std::string_view input, BodySink& sink);

  // The peer closed: completes a message whose body ends so, else fails.
  void end_of_input();

  Failure failure() const { return failure_; }
  // What is wrong, for people; valid on failure().
  std::string_view fault() const { return fault_; }
  bool started() const { return line_seen_ || !line_.empty(); }  // more than empty lines came
  size_t head_bytes() const { return head_bytes_; }  // that came
  bool head_complete() const { return head_complete_; }
  bool complete() const { return complete_; }
  // The next bytes belong to trailer fields, which are checked and dropped, or to the end of the
  // message.
  bool in_trailers() const { return !complete_ && chunks_.in_trailers(); }
  // Bytes of a body with Content-Length that are still to come; 0 for any other. The owner may read
  // them past the parser and then call skip_body().
  uint64_t fixed_body_left() const { return fixed_left_; }
  // The owner consumed `bytes` of the fixed body itself. Precondition: bytes <= fixed_body_left().
  void skip_body(uint64_t bytes);

  // Valid from head_complete() to reset().
  const HttpHead& head() const { return head_; }
  // Replaces the request's target, and the Host field unless `host` is empty.
  void set_target(std::string_view target, std::string_view host);
  HttpHead& editable_head() { return head_; }

 private:
  size_t feed_head(std::string_view input);
  size_t feed_chunks(std::string_view input, BodySink& sink);
  void take_line(std::string_view line);
  void take_first_line(std::string_view line);
  void on_head_complete();
  void fail(Failure failure, HttpFault fault);

  const Kind kind_;
  const Limits limits_;
  HttpHead head_;
  std::string line_;  // of the head, the part that has come
  Http1Chunks chunks_;
  Failure failure_ = Failure::kNone;
  HttpFault fault_ = "";
  size_t head_bytes_ = 0;
  uint32_t empty_lines_ = 0;  // before the first line
  bool line_seen_ = false;    // the first one that is not empty
  bool answers_head_ = false;
  bool head_complete_ = false;
  bool complete_ = false;
  uint64_t fixed_left_ = 0;
};

}  // namespace kvasir
