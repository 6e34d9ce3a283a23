// Code points of UTF-8 text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

struct CodePoint {
  uint32_t value;
  uint32_t bytes;
};

// The code point that begins at `at`. Precondition: `text` is UTF-8, and one begins there.
inline CodePoint code_point_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xe0) return {(first & 0x1f) << 6 | (byte(1) & 0x3fu), 2};
  if (first < 0xf0) {
    return {(first & 0x0f) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu), 3};
  }
  return {
      (first & 0x07) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 | (byte(3) & 0x3fu),
      4};
}

// Where the code point before `at` begins. Precondition: as above, and at > 0.
inline size_t code_point_before(std::string_view text, size_t at) {
  do --at;
  while ((static_cast<uint8_t>(text[at]) & 0xc0) == 0x80);
  return at;
}

bool is_utf8(std::string_view text);
// The text with U+FFFD for each longest piece that is the beginning of a character and no more, and
// for each byte that begins none: what Python and browsers decode.
std::string as_utf8(std::string_view text);
// Precondition: a code point of Unicode, no surrogate.
void append_code_point(uint32_t code_point, std::string& text);

}  // namespace kvasir
