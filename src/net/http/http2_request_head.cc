#include "net/http/http2_request_head.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "net/http/http1_grammar.h"
#include "net/http/http_path.h"

namespace kvasir {
namespace {

// What ": " and CRLF are in HTTP/1.
constexpr size_t kLineBytes = 4;
constexpr uint8_t kMethod = 1, kScheme = 2, kPath = 4, kAuthority = 8;

// RFC 9113, 8.2.2: they belong to connections of HTTP/1.
constexpr std::string_view kConnectionFields[] = {"connection", "keep-alive", "proxy-connection",
                                                  "transfer-encoding", "upgrade"};

bool is_target(std::string_view path) {
  return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool has_upper_case(std::string_view name) {
  return std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

void Http2RequestHead::take_field(std::string_view name, std::string_view value) {
  bytes_ += name.size() + value.size() + kLineBytes;
  if (bytes_ > limits_.bytes) {
    fault_ = {431, "the header fields are larger than is accepted"};
  } else if (name.starts_with(':')) {
    take_pseudo(name, value);
  } else {
    fields_begun_ = true;
    take_regular(name, value);
  }
}

void Http2RequestHead::take_pseudo(std::string_view name, std::string_view value) {
  std::pair<uint8_t, std::string*> known{0, nullptr};
  if (name == ":method") known = {kMethod, &pseudo_.method};
  if (name == ":scheme") known = {kScheme, &pseudo_.scheme};
  if (name == ":path") known = {kPath, &pseudo_.path};
  if (name == ":authority") known = {kAuthority, &pseudo_.authority};
  if (known.second == nullptr)
    return note({400, "there is a pseudo-header field that no request has"});
  if (fields_begun_) return note({400, "a pseudo-header field comes behind a field"});
  if ((pseudo_.seen & known.first) != 0) return note({400, "a pseudo-header field comes twice"});
  pseudo_.seen |= known.first;
  *known.second = value;
}

void Http2RequestHead::take_regular(std::string_view name, std::string_view value) {
  if (!is_token(name) || has_upper_case(name)) {
    return note({400, "the name of a field is not a token in lower case"});
  }
  if (!is_field_value(value) || trimmed(value).size() != value.size()) {
    return note({400, "the value of a field has control bytes, or blanks around it"});
  }
  if (std::find(std::begin(kConnectionFields), std::end(kConnectionFields), name) !=
      std::end(kConnectionFields)) {
    return note({400, "there is a field that HTTP/2 does not have"});
  }
  if (name == "te" && !equal_ignoring_case(value, "trailers")) {
    return note({400, "the only value of te is trailers"});
  }
  if (name == "host") {
    if (++hosts_ > 1) return note({400, "there is more than one Host"});
    host_ = value;
    return;
  }
  if (name == "cookie") {
    cookies_.append(cookies_.empty() ? "" : "; ").append(value);
    return;
  }
  if (head_.field_count() >= limits_.fields) {
    return note({431, "there are more header fields than is accepted"});
  }
  head_.add_field(name, value);
}

Http2RequestHead::Fault Http2RequestHead::finish() {
  if (fault_.status == 0) note(finish_request_line());
  if (fault_.status == 0) note(finish_host());
  pseudo_ = {};
  host_ = std::string();
  if (fault_.status != 0) return fault_;
  if (!cookies_.empty()) head_.add_field("cookie", std::exchange(cookies_, {}));
  if (HttpFault fault = read_request_framing(head_)) note({400, fault});
  return fault_;
}

Http2RequestHead::Fault Http2RequestHead::finish_request_line() {
  if (!is_token(pseudo_.method)) return {400, "the method is not a token"};
  const bool connect = pseudo_.method == "CONNECT";
  if (connect) {
    if (pseudo_.seen != (kMethod | kAuthority)) return {400, "CONNECT has an :authority alone"};
    head_.set_request_line(pseudo_.method, pseudo_.authority, 1);
    return {};
  }
  if (!equal_ignoring_case(pseudo_.scheme, "http") &&
      !equal_ignoring_case(pseudo_.scheme, "https")) {
    return {400, "the :scheme is neither http nor https"};
  }
  const std::string_view path = pseudo_.path;
  if (!is_target(path) || !(path.starts_with('/') || path == "*")) {
    return {400, "the :path is neither a path nor \"*\""};
  }
  head_.set_request_line(pseudo_.method, path, 1);
  return {};
}

// RFC 9113, 8.3.1: :authority says what Host does in HTTP/1, and a Host beside it must say the
// same.
Http2RequestHead::Fault Http2RequestHead::finish_host() {
  const bool has_authority = (pseudo_.seen & kAuthority) != 0;
  if (has_authority && hosts_ > 0 && !equal_ignoring_case(pseudo_.authority, host_)) {
    return {400, "Host and :authority differ"};
  }
  const std::string& host = has_authority ? pseudo_.authority : host_;
  if (has_authority || hosts_ > 0) head_.add_field("Host", host);
  return {};
}

}  // namespace kvasir
