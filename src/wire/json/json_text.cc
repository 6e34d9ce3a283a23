#include "wire/json/json_text.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "wire/json/text_encoding.h"

namespace kvasir {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Whether a byte stands for itself inside a JSON string.
constexpr std::array<bool, 256> make_plain() {
  std::array<bool, 256> plain{};
  for (size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}
constexpr std::array<bool, 256> kPlain = make_plain();

void append_unicode_escape(uint32_t unit, std::string& json) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\u%04x", unit);
  json.append(escape, 6);
}

void append_ascii_escape(char byte, std::string& json) {
  switch (byte) {
    case '"':
      json.append("\\\"");
      return;
    case '\\':
      json.append("\\\\");
      return;
    case '\b':
      json.append("\\b");
      return;
    case '\f':
      json.append("\\f");
      return;
    case '\n':
      json.append("\\n");
      return;
    case '\r':
      json.append("\\r");
      return;
    case '\t':
      json.append("\\t");
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(byte) < 0x20)
    return append_unicode_escape(static_cast<uint32_t>(byte), json);
  json.push_back(byte);
}

bool is_surrogate(std::string_view sequence) {
  return sequence.size() == 3 && sequence[0] == '\xed' &&
         static_cast<unsigned char>(sequence[1]) >= 0xa0;
}

// Takes one character off `text`: its well-formed sequence, or a replacement for what is not one.
std::string_view take_character(std::string_view& text) {
  const size_t length = utf8_sequence_length(text);
  const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
  text.remove_prefix(sequence.size());
  return length == 0 || is_surrogate(sequence) ? kReplacement : sequence;
}

uint32_t code_point_of(std::string_view sequence) {
  const auto bits = [&](size_t index) { return static_cast<uint32_t>(sequence[index]) & 0x3f; };
  switch (sequence.size()) {
    case 2:
      return (static_cast<uint32_t>(sequence[0]) & 0x1f) << 6 | bits(1);
    case 3:
      return (static_cast<uint32_t>(sequence[0]) & 0x0f) << 12 | bits(1) << 6 | bits(2);
    default:
      break;
  }
  return (static_cast<uint32_t>(sequence[0]) & 0x07) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3);
}

}  // namespace

void append_json_escaped(std::string_view text, std::string& json) {
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && kPlain[static_cast<unsigned char>(text[plain])]) ++plain;
    json.append(text, 0, plain);
    text.remove_prefix(plain);
    if (text.empty()) return;
    if (static_cast<unsigned char>(text.front()) < 0x80) {
      append_ascii_escape(text.front(), json);
      text.remove_prefix(1);
    } else {
      json.append(take_character(text));
    }
  }
}

void append_json_string(std::string_view text, std::string& json) {
  json.push_back('"');
  append_json_escaped(text, json);
  json.push_back('"');
}

void append_json_ascii_string(std::string_view text, std::string& json) {
  json.push_back('"');
  while (!text.empty()) {
    const std::string_view character = take_character(text);
    if (character.size() == 1) {
      append_ascii_escape(character.front(), json);
      continue;
    }
    const uint32_t code_point = code_point_of(character);
    if (code_point < 0x10000) {
      append_unicode_escape(code_point, json);
    } else {
      append_unicode_escape(0xd800 + ((code_point - 0x10000) >> 10), json);
      append_unicode_escape(0xdc00 + ((code_point - 0x10000) & 0x3ff), json);
    }
  }
  json.push_back('"');
}

void append_number(int64_t value, std::string& json) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  json.append(digits, end);
}

void append_real(double value, std::string& json) {
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  json.append(text);
  if (text.find_first_of(".ein") == std::string_view::npos) json.append(".0");
}

}  // namespace kvasir
