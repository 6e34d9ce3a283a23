// Unsigned numbers as our own formats write them: the least significant byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace kvasir {

// sizeof(Integer) bytes at `to`. `Byte`: char or std::byte.
template <class Integer, class Byte>
void put_little_endian(Integer value, Byte* to) {
  static_assert(std::is_unsigned_v<Integer> && sizeof(Byte) == 1);
  for (size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<Byte>(value >> (8 * i) & 0xff);
}

template <class Integer>
void append_little_endian(Integer value, std::string& bytes) {
  static_assert(std::is_unsigned_v<Integer>);
  for (size_t i = 0; i < sizeof value; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

// Of the sizeof(Integer) bytes at `from`.
template <class Integer, class Byte>
Integer read_little_endian(const Byte* from) {
  static_assert(std::is_unsigned_v<Integer> && sizeof(Byte) == 1);
  uint64_t value = 0;
  for (size_t i = sizeof(Integer); i-- > 0;) value = value << 8 | static_cast<uint8_t>(from[i]);
  return static_cast<Integer>(value);
}

}  // namespace kvasir
