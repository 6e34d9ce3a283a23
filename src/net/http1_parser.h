// Reads HTTP/1 messages from bytes, without a socket. The grammar is Boost.Beast's; limits and framing rules
// are stricter: a request must say how its body ends, and Content-Length beside Transfer-Encoding is refused.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "net/http_head.h"

namespace kvasir {

class Http1Parser {
 public:
  enum class Kind : uint8_t { kRequest, kResponse };
  enum class Failure : uint8_t {
    kNone,
    kHeadTooLarge,
    kMalformed,
    kTruncated,  // end of input inside a message
  };

  // Takes decoded body bytes as they are found; the view is valid during the call.
  class BodySink {
   public:
    virtual ~BodySink() = default;
    virtual void on_body(std::string_view bytes) = 0;
  };

  Http1Parser(Kind kind, size_t head_bytes_max);
  ~Http1Parser();

  // Gets ready for the next message. `answers_head`: the message answers a HEAD request and has no body.
  void reset(bool answers_head = false);

  // Consumes what it can from the front of `input` and says how many bytes; the rest must be given again,
  // with more behind it. Stops after the head (call again for the body) and after the message. On failure() the
  // connection is of no more use.
  size_t feed(std::string_view input, BodySink& sink);

  // The peer closed: completes a message whose body ends so, else fails.
  void end_of_input();

  Failure failure() const { return failure_; }
  bool started() const;  // some bytes of this message were consumed, or looked at
  bool head_complete() const { return head_complete_; }
  bool complete() const { return complete_; }
  // Bytes of a body with Content-Length that are still to come; 0 for any other. The owner may read them
  // past the parser and then call skip_body().
  uint64_t fixed_body_left() const;
  // The owner consumed `bytes` of the fixed body itself. Precondition: bytes <= fixed_body_left().
  void skip_body(uint64_t bytes);

  // Valid from head_complete() to reset().
  const HttpHead& head() const { return head_; }

 private:
  class Grammar;
  void on_head_complete();

  const Kind kind_;
  const size_t head_bytes_max_;
  std::unique_ptr<Grammar> grammar_;
  HttpHead head_;
  Failure failure_ = Failure::kNone;
  bool head_complete_ = false;
  bool complete_ = false;
  uint64_t fixed_left_ = 0;
};

}  // namespace kvasir
