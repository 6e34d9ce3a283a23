#include "net/http/http_path.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/text.h"
#include "net/http/http_head.h"

namespace kvasir {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

bool is_letter_or_digit(char c) {
  return is_letter(c) || is_digit(c);
}

bool is_unreserved(char c) {
  return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool is_printable(char c) {
  return c > ' ' && c < 0x7f;
}

// Takes "http://HOST[:PORT]" off the front of `target`: its authority.
Result<std::string_view> take_authority(std::string_view& target) {
  const size_t colon = target.find("://");
  const std::string_view scheme = target.substr(0, colon);
  if (colon == std::string_view::npos ||
      !(equal_ignoring_case(scheme, "http") || equal_ignoring_case(scheme, "https"))) {
    return Error{"the request target is neither a path nor an http URI"};
  }
  target.remove_prefix(colon + 3);
  const std::string_view authority =
      target.substr(0, std::min(target.find_first_of("/?#"), target.size()));
  if (!is_valid_authority(authority)) return Error{"the request target names no valid host"};
  target.remove_prefix(authority.size());
  return authority;
}

// Appends what the escape at the front of `rest` stands for, or the escape itself.
Result<void> append_escape(std::string_view rest, NormalTarget& normal, std::string& segment) {
  const int high = rest.size() < 3 ? -1 : hex_value(rest[1]);
  const int low = rest.size() < 3 ? -1 : hex_value(rest[2]);
  if (high < 0 || low < 0)
    return Error{"the path has a percent sign without two hexadecimal digits"};
  const char byte = static_cast<char>(high * 16 + low);
  if (static_cast<unsigned char>(byte) < ' ' || byte == 0x7f) {
    return Error{"the path has an encoded control byte"};
  }
  if (byte == '\\') return Error{"the path has an encoded backslash"};
  if (is_unreserved(byte)) {
    segment.push_back(byte);
    return {};
  }
  normal.encoded_slash |= byte == '/';
  segment.push_back('%');
  segment.push_back(kHexDigits[static_cast<size_t>(high)]);
  segment.push_back(kHexDigits[static_cast<size_t>(low)]);
  return {};
}

// Decodes one segment of a path: from one slash to the next.
Result<std::string> read_segment(std::string_view text, NormalTarget& normal) {
  std::string segment;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') return Error{"the path has a backslash"};
    if (text[i] != '%') {
      segment.push_back(text[i]);
      continue;
    }
    if (Result<void> taken = append_escape(text.substr(i), normal, segment); !taken) {
      return taken.error();
    }
    i += 2;
  }
  return segment;
}

// Appends the normal form of `path`, which begins with a slash.
Result<void> append_path(std::string_view path, NormalTarget& normal) {
  std::vector<std::string> segments;
  bool is_folder = true;  // nothing follows the last slash
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view text = path.substr(0, std::min(path.find('/'), path.size()));
    path.remove_prefix(text.size());
    Result<std::string> segment = read_segment(text, normal);
    if (!segment) return segment.error();
    is_folder = segment->empty() || *segment == "." || *segment == "..";
    if (*segment == "..") {
      if (segments.empty()) return Error{"the path leads above its root"};
      segments.pop_back();
    } else if (!is_folder) {
      segments.push_back(std::move(*segment));
    }
  }
  for (const std::string& segment : segments) normal.target.append("/").append(segment);
  if (is_folder) normal.target.push_back('/');
  return {};
}

}  // namespace

bool is_normal_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return false;
  char before = 0;
  for (const char c : target) {
    if (c == '?') return target.find('#') == std::string_view::npos;
    if (c == '%' || c == '\\' || c == '#') return false;
    if (before == '/' && (c == '/' || c == '.')) return false;
    before = c;
  }
  return true;
}

Result<NormalTarget> normal_target(std::string_view target) {
  if (!std::all_of(target.begin(), target.end(), is_printable)) {
    return Error{"the request target has bytes that a URI may not hold"};
  }
  NormalTarget normal;
  if (target == "*") {
    normal.target = "*";
    return normal;
  }
  target = target.substr(0, target.find('#'));
  if (!target.starts_with('/')) {
    const Result<std::string_view> authority = take_authority(target);
    if (!authority) return authority.error();
    normal.authority = *authority;
  }
  const size_t query = std::min(target.find('?'), target.size());
  const std::string_view path = query == 0 ? "/" : target.substr(0, query);
  if (Result<void> taken = append_path(path, normal); !taken) return taken.error();
  normal.target.append(target.substr(query));
  return normal;
}

bool is_valid_authority(std::string_view authority) {
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = authority.find(':', bracket);
  const std::string_view host = authority.substr(0, colon);
  if (host.empty()) return false;
  for (const char c : host) {
    const bool in_address = bracket > 0 && (c == '[' || c == ']' || c == ':');
    if (!is_unreserved(c) && !in_address &&
        std::string_view("%!$&'()*+,;=").find(c) == std::string_view::npos) {
      return false;
    }
  }
  if (bracket > 0 && bracket + 1 != host.size()) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view port = authority.substr(colon + 1);
  return port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
}

}  // namespace kvasir
