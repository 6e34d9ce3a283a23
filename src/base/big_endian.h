// Numbers as networks write them: the most significant byte first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

inline std::string big_endian_bytes(uint64_t value) {
  std::string bytes(8, '\0');
  for (size_t i = bytes.size(); i > 0; --i, value >>= 8) bytes[i - 1] = static_cast<char>(value);
  return bytes;
}

// Of more than 8 bytes, the last 8 count.
inline uint64_t from_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace kvasir
