// What readers of text ask of its bytes, answered by ASCII alone, whatever the locale. Which bytes
// count as white space belongs to a grammar, so each set has a name of its own.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace kvasir {

inline constexpr std::string_view kJsonSpace = " \t\r\n";

// The blanks of HTTP fields, Prometheus texts and event streams.
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// The bytes of kJsonSpace.
constexpr bool is_json_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The value of a hexadecimal digit in either case; -1: it is not one.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = lower_case(c);
  return lower;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lower_case(x) == lower_case(y);
         });
}

// Which bytes belong to a set, by their value.
using ByteSet = std::array<bool, 256>;

constexpr ByteSet letters_digits_and(std::string_view more) {
  ByteSet bytes{};
  for (unsigned c = '0'; c <= '9'; ++c) bytes[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) bytes[c] = bytes[c + ('a' - 'A')] = true;
  for (const char c : more) bytes[static_cast<unsigned char>(c)] = true;
  return bytes;
}

// An empty text does.
constexpr bool consists_of(std::string_view text, const ByteSet& bytes) {
  bool all = true;  // without a branch for each byte
  for (const char c : text) all &= bytes[static_cast<unsigned char>(c)];
  return all;
}

// The text without the blanks at both ends.
constexpr std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The text without those of `bytes` at both ends.
constexpr std::string_view trimmed(std::string_view text, std::string_view bytes) {
  const size_t begin = text.find_first_not_of(bytes);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(bytes) - begin + 1);
}

// For one segment of a URL's path, or one value of its query: what RFC 3986 does not call unreserved
// becomes %XX.
inline std::string percent_encoded(std::string_view text) {
  constexpr ByteSet kPlain = letters_digits_and("-._~");
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain[byte]) {
      encoded += c;
    } else {
      encoded.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return encoded;
}

}  // namespace kvasir
