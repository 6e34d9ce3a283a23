// Makes the head of a request of the fields that came over HTTP/2. What HTTP/1 would not let pass
// is refused here too (net/http/http1_grammar.h), so that the request has one meaning when it is
// written as HTTP/1 for the next program. Private to net/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/http_head.h"

namespace kvasir {

class Http2RequestHead {
 public:
  struct Limits {
    size_t bytes;   // of names and values, each line with four bytes more, as HTTP/1 writes them
    size_t fields;  // pseudo-header fields not counted
  };
  // Why the request is refused: a status, and a text for people. No status: it is sound.
  struct Fault {
    int status = 0;
    const char* reason = "";
  };

  explicit Http2RequestHead(Limits limits) : limits_(limits) {}

  // In the order in which they came. Beyond the limits nothing more is kept.
  void take_field(std::string_view name, std::string_view value);
  // The library left a field out that it found malformed.
  void note_malformed() { note({400, "a field has bytes that a field may not hold"}); }
  // All fields came: head() is what HTTP/1 would have read.
  Fault finish();

  size_t bytes() const { return bytes_; }
  const HttpHead& head() const { return head_; }
  HttpHead& editable_head() { return head_; }

 private:
  // As RFC 9113, 8.3.1 names them.
  struct Pseudo {
    std::string method, scheme, path, authority;
    uint8_t seen = 0;  // a bit for each
  };

  void take_pseudo(std::string_view name, std::string_view value);
  void take_regular(std::string_view name, std::string_view value);
  Fault finish_request_line();
  Fault finish_host();
  // The first one counts.
  void note(Fault fault) {
    if (fault_.status == 0) fault_ = fault;
  }

  const Limits limits_;
  Pseudo pseudo_;
  std::string host_;     // the field
  std::string cookies_;  // of all fields of that name: a client may split them (RFC 9113, 8.2.3)
  HttpHead head_;
  Fault fault_;
  size_t bytes_ = 0;
  uint8_t hosts_ = 0;
  bool fields_begun_ = false;
};

}  // namespace kvasir
