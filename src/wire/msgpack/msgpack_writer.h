// Writes msgpack by appending one value, or the head of one, in its shortest form.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

inline void append_msgpack_head(std::string& out, uint8_t head, uint64_t number, size_t bytes) {
  out.push_back(static_cast<char>(head));
  for (size_t i = bytes; i > 0; --i) out.push_back(static_cast<char>(number >> (8 * (i - 1))));
}

inline void append_msgpack_nil(std::string& out) {
  out.push_back('\xc0');
}

inline void append_msgpack_number(std::string& out, uint64_t number) {
  if (number < 0x80) return out.push_back(static_cast<char>(number));
  if (number <= UINT8_MAX) return append_msgpack_head(out, 0xcc, number, 1);
  if (number <= UINT16_MAX) return append_msgpack_head(out, 0xcd, number, 2);
  if (number <= UINT32_MAX) return append_msgpack_head(out, 0xce, number, 4);
  append_msgpack_head(out, 0xcf, number, 8);
}

inline void append_msgpack_real(std::string& out, double number) {
  append_msgpack_head(out, 0xcb, std::bit_cast<uint64_t>(number), 8);
}

inline void append_msgpack_array(std::string& out, size_t values) {
  if (values < 16) return out.push_back(static_cast<char>(0x90 | values));
  if (values <= UINT16_MAX) return append_msgpack_head(out, 0xdc, values, 2);
  append_msgpack_head(out, 0xdd, values, 4);
}

inline void append_msgpack_map(std::string& out, size_t pairs) {
  if (pairs < 16) return out.push_back(static_cast<char>(0x80 | pairs));
  if (pairs <= UINT16_MAX) return append_msgpack_head(out, 0xde, pairs, 2);
  append_msgpack_head(out, 0xdf, pairs, 4);
}

inline void append_msgpack_text(std::string& out, std::string_view text) {
  if (text.size() < 32) {
    out.push_back(static_cast<char>(0xa0 | text.size()));
  } else if (text.size() <= UINT8_MAX) {
    append_msgpack_head(out, 0xd9, text.size(), 1);
  } else if (text.size() <= UINT16_MAX) {
    append_msgpack_head(out, 0xda, text.size(), 2);
  } else {
    append_msgpack_head(out, 0xdb, text.size(), 4);
  }
  out += text;
}

inline void append_msgpack_bytes(std::string& out, std::string_view bytes) {
  if (bytes.size() <= UINT8_MAX) {
    append_msgpack_head(out, 0xc4, bytes.size(), 1);
  } else if (bytes.size() <= UINT16_MAX) {
    append_msgpack_head(out, 0xc5, bytes.size(), 2);
  } else {
    append_msgpack_head(out, 0xc6, bytes.size(), 4);
  }
  out += bytes;
}

}  // namespace kvasir
