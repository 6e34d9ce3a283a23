#include "wire/json/text_encoding.h"

#include <cstdint>
#include <cstring>

namespace kvasir {
namespace {

uint8_t byte_at(std::string_view bytes, size_t index) {
  return static_cast<uint8_t>(bytes[index]);
}

bool is_continuation(uint8_t byte) {
  return (byte & 0xc0) == 0x80;
}

bool valid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (at + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080ULL) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const size_t length = utf8_sequence_length(text.substr(at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

// One code unit of `width` bytes.
uint32_t unit_at(std::string_view bytes, size_t at, size_t width, bool big_endian) {
  uint32_t unit = 0;
  for (size_t i = 0; i < width; ++i) {
    const size_t shift = 8 * (big_endian ? width - 1 - i : i);
    unit |= static_cast<uint32_t>(byte_at(bytes, at + i)) << shift;
  }
  return unit;
}

bool is_high_surrogate(uint32_t unit) {
  return unit >= 0xd800 && unit < 0xdc00;
}
bool is_low_surrogate(uint32_t unit) {
  return unit >= 0xdc00 && unit < 0xe000;
}

bool decode_units(std::string_view bytes, size_t width, bool big_endian, std::string& text) {
  if (bytes.size() % width != 0) return false;
  for (size_t at = 0; at < bytes.size(); at += width) {
    uint32_t unit = unit_at(bytes, at, width, big_endian);
    if (unit > 0x10ffff) return false;
    if (width == 2 && is_high_surrogate(unit) && at + 4 <= bytes.size()) {
      const uint32_t low = unit_at(bytes, at + 2, 2, big_endian);
      if (is_low_surrogate(low)) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        at += 2;
      }
    }
    append_utf8(unit, text);
  }
  return true;
}

struct Encoding {
  size_t width = 1;  // of a code unit; 1 is UTF-8
  bool big_endian = false;
  size_t mark = 0;  // bytes of the byte order mark
};

// json.detect_encoding of Python 3.11.
Encoding detect(std::string_view bytes) {
  const auto starts_with = [&](std::string_view mark) {
    return bytes.substr(0, mark.size()) == mark;
  };
  using namespace std::string_view_literals;
  if (starts_with("\x00\x00\xfe\xff"sv)) return {4, true, 4};
  if (starts_with("\xff\xfe\x00\x00"sv)) return {4, false, 4};
  if (starts_with("\xfe\xff"sv)) return {2, true, 2};
  if (starts_with("\xff\xfe"sv)) return {2, false, 2};
  if (starts_with("\xef\xbb\xbf"sv)) return {1, false, 3};
  if (bytes.size() >= 4) {
    if (bytes[0] == 0) return {bytes[1] != 0 ? size_t{2} : size_t{4}, true, 0};
    if (bytes[1] == 0) return {bytes[2] != 0 || bytes[3] != 0 ? size_t{2} : size_t{4}, false, 0};
  } else if (bytes.size() == 2) {
    if (bytes[0] == 0) return {2, true, 0};
    if (bytes[1] == 0) return {2, false, 0};
  }
  return {};
}

}  // namespace

void append_utf8(uint32_t code_point, std::string& text) {
  const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto put_tail = [&](uint32_t bits) { put(0x80 | (bits & 0x3f)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | (code_point >> 6));
    put_tail(code_point);
  } else if (code_point < 0x10000) {
    put(0xe0 | (code_point >> 12));
    put_tail(code_point >> 6);
    put_tail(code_point);
  } else {
    put(0xf0 | (code_point >> 18));
    put_tail(code_point >> 12);
    put_tail(code_point >> 6);
    put_tail(code_point);
  }
}

size_t utf8_sequence_length(std::string_view bytes) {
  const uint8_t first = byte_at(bytes, 0);
  if (first < 0x80) return 1;
  size_t length = 0;
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) second_min = 0xa0;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) second_min = 0x90;
    if (first == 0xf4) second_max = 0x8f;
  }
  if (length == 0 || bytes.size() < length) return 0;
  const uint8_t second = byte_at(bytes, 1);
  if (second < second_min || second > second_max) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!is_continuation(byte_at(bytes, i))) return 0;
  }
  return length;
}

std::optional<std::string_view> decode_json_bytes(std::string_view bytes, std::string& storage) {
  const Encoding encoding = detect(bytes);
  const std::string_view rest = bytes.substr(encoding.mark);
  if (encoding.width == 1) {
    if (!valid_utf8(rest)) return std::nullopt;
    return rest;
  }
  storage.clear();
  if (!decode_units(rest, encoding.width, encoding.big_endian, storage)) return std::nullopt;
  return storage;
}

}  // namespace kvasir
