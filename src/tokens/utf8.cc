#include "tokens/utf8.h"

#include <simdjson.h>

#include <algorithm>

namespace kvasir {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Sequence {
  size_t bytes;
  bool whole;
};

// The character at the beginning of `text`, or as much of one as there is; at least a byte.
Sequence first_sequence(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {1, true};
  if (first < 0xc2 || first > 0xf4) return {1, false};
  const size_t wanted = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // The second byte has fewer values where longer spellings, surrogates and too large numbers are.
  uint8_t least = 0x80;
  uint8_t most = 0xbf;
  if (first == 0xe0) least = 0xa0;
  if (first == 0xed) most = 0x9f;
  if (first == 0xf0) least = 0x90;
  if (first == 0xf4) most = 0x8f;
  size_t bytes = 1;
  while (bytes < std::min(wanted, text.size())) {
    const auto next = static_cast<uint8_t>(text[bytes]);
    if (next < least || next > most) break;
    least = 0x80;
    most = 0xbf;
    ++bytes;
  }
  return {bytes, bytes == wanted};
}

}  // namespace

bool is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string as_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Sequence next = first_sequence(text);
    result.append(next.whole ? text.substr(0, next.bytes) : kReplacement);
    text.remove_prefix(next.bytes);
  }
  return result;
}

void append_code_point(uint32_t code_point, std::string& text) {
  const auto put = [&text](uint32_t byte) { text += static_cast<char>(byte); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xc0 | (code_point >> 6));
  } else {
    if (code_point < 0x10000) {
      put(0xe0 | (code_point >> 12));
    } else {
      put(0xf0 | (code_point >> 18));
      put(0x80 | ((code_point >> 12) & 0x3f));
    }
    put(0x80 | ((code_point >> 6) & 0x3f));
  }
  put(0x80 | (code_point & 0x3f));
}

}  // namespace kvasir
