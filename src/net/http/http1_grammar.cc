#include "net/http/http1_grammar.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "net/http/http_path.h"

namespace kvasir {
namespace {

// More options than this are an attack on whoever compares them with every field.
constexpr size_t kConnectionOptionsMax = 32;
// Of a Content-Length: every such number fits 64 bits.
constexpr size_t kLengthDigitsMax = 18;

constexpr ByteSet make_value_bytes() {
  ByteSet bytes{};
  for (unsigned c = 0; c < 256; ++c) bytes[c] = c == '\t' || (c >= ' ' && c != 0x7f);
  return bytes;
}

constexpr ByteSet make_target_bytes() {
  ByteSet bytes{};
  for (unsigned c = '!'; c < 0x7f; ++c) bytes[c] = true;
  return bytes;
}

constexpr ByteSet kTokenBytes = letters_digits_and("!#$%&'*+-.^_`|~");
constexpr ByteSet kValueBytes = make_value_bytes();
constexpr ByteSet kTargetBytes = make_target_bytes();

// "HTTP/1.0" and "HTTP/1.1" give 0 and 1, another version kOtherVersion. False: it is no version.
bool read_version(std::string_view text, int& minor) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.') return false;
  if (!is_digit(text[5]) || !is_digit(text[7])) return false;
  const bool known = text[5] == '1' && (text[7] == '0' || text[7] == '1');
  minor = known ? text[7] - '0' : kOtherVersion;
  return true;
}

// What the fields of a head say of framing, each counted.
struct FramingFields {
  size_t lengths = 0, codings = 0, hosts = 0, options = 0;
  std::string_view length, coding, host;
  bool close = false, keep_alive = false;
};

// Takes the options of one Connection field.
HttpFault take_options(std::string_view list, FramingFields& found) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view option = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (option.empty()) continue;
    if (!is_token(option)) return "a connection option is not a token";
    if (++found.options > kConnectionOptionsMax) return "there are too many connection options";
    found.close |= equal_ignoring_case(option, "close");
    found.keep_alive |= equal_ignoring_case(option, "keep-alive");
  }
  return nullptr;
}

HttpFault take_field(const HttpHead::Field& field, FramingFields& found) {
  switch (field.name.size()) {  // most names differ in length already
    case 4:
      if (!equal_ignoring_case(field.name, "Host")) break;
      ++found.hosts;
      found.host = field.value;
      break;
    case 10:
      if (equal_ignoring_case(field.name, "Connection")) return take_options(field.value, found);
      break;
    case 14:
      if (!equal_ignoring_case(field.name, "Content-Length")) break;
      ++found.lengths;
      found.length = field.value;
      break;
    case 17:
      if (!equal_ignoring_case(field.name, "Transfer-Encoding")) break;
      ++found.codings;
      found.coding = field.value;
      break;
    default:
      break;
  }
  return nullptr;
}

HttpFault read_framing(HttpHead& head, FramingFields& found) {
  for (size_t i = 0; i < head.field_count(); ++i) {
    if (HttpFault fault = take_field(head.field(i), found)) return fault;
  }
  if (found.codings > 0 && found.lengths > 0) {
    return "there are both Content-Length and Transfer-Encoding";
  }
  if (found.lengths > 1) return "there is more than one Content-Length";
  if (found.codings > 1) return "there is more than one Transfer-Encoding";
  if (found.codings > 0 && !equal_ignoring_case(found.coding, "chunked")) {
    return "the only transfer coding that is understood is chunked";
  }
  if (found.codings > 0 && head.minor_version() == 0) return "HTTP/1.0 has no Transfer-Encoding";
  std::optional<uint64_t> length;
  if (found.lengths > 0) {
    if (found.length.empty() || found.length.size() > kLengthDigitsMax ||
        !std::all_of(found.length.begin(), found.length.end(), is_digit)) {
      return "Content-Length is not a number of bytes";
    }
    length = 0;
    for (const char digit : found.length)
      *length = *length * 10 + static_cast<uint64_t>(digit - '0');
  }
  const bool reusable = !found.close && (head.minor_version() == 1 || found.keep_alive);
  head.set_framing(length, found.codings > 0, reusable);
  return nullptr;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && consists_of(text, kTokenBytes);
}

bool is_field_value(std::string_view text) {
  return consists_of(text, kValueBytes);
}

HttpFault read_request_line(std::string_view line, HttpHead& head) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == last || first == std::string_view::npos) {
    return "the request line is not METHOD TARGET HTTP/1.1";
  }
  const std::string_view target = line.substr(first + 1, last - first - 1);
  int minor = 0;
  if (!is_token(line.substr(0, first))) return "the method is not a token";
  if (target.empty() || !consists_of(target, kTargetBytes)) {
    return "the request target has bytes that a URI may not hold";
  }
  if (!read_version(line.substr(last + 1), minor)) return "the request line names no HTTP version";
  head.set_request_line(line.substr(0, first), target, minor);
  return nullptr;
}

// The space before an empty reason is often left out.
HttpFault read_status_line(std::string_view line, HttpHead& head) {
  int minor = 0;
  const std::string_view rest = line.substr(std::min<size_t>(line.size(), 8));
  if (!read_version(line.substr(0, 8), minor) || minor == kOtherVersion) {
    return "the answer is not HTTP/1.1 or HTTP/1.0";
  }
  const bool sound = rest.size() >= 4 && rest[0] == ' ' && is_digit(rest[1]) && is_digit(rest[2]) &&
                     is_digit(rest[3]) && (rest.size() == 4 || rest[4] == ' ');
  const int status = sound ? (rest[1] - '0') * 100 + (rest[2] - '0') * 10 + (rest[3] - '0') : 0;
  if (status < 100 || status > 599) return "the status is not a number from 100 to 599";
  const std::string_view reason = rest.substr(std::min<size_t>(rest.size(), 5));
  if (!is_field_value(reason)) return "the reason has control bytes";
  head.set_status_line(status, reason, minor);
  return nullptr;
}

HttpFault read_field_line(std::string_view line, HttpHead& head) {
  if (is_blank(line.front())) return "a field goes on in a second line";
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "a field has no colon";
  if (!is_token(line.substr(0, colon))) return "the name of a field is not a token";
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_field_value(value)) return "the value of a field has control bytes";
  head.add_field(line.substr(0, colon), value);
  return nullptr;
}

HttpFault read_request_framing(HttpHead& head) {
  FramingFields found;
  if (HttpFault fault = read_framing(head, found)) return fault;
  if (found.hosts > 1) return "there is more than one Host";
  if (found.hosts == 0) return head.minor_version() == 0 ? nullptr : "there is no Host";
  if (!is_valid_authority(found.host)) return "Host is not HOST or HOST:PORT";
  return nullptr;
}

HttpFault read_answer_framing(HttpHead& head, bool bodiless) {
  FramingFields found;
  if (HttpFault fault = read_framing(head, found)) return fault;
  const bool until_close = !bodiless && !head.chunked() && !head.content_length();
  if (until_close) head.set_framing(std::nullopt, false, false);
  return nullptr;
}

}  // namespace kvasir
