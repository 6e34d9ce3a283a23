// KV in half the bytes: IEEE half-precision values as 8-bit integers with one scale for all values
// of a slice (one layer of one block).
//
// What comes back differs: |v - v'| <= int8_error_bound(largest |v| of the slice), which is 1/254
// of that and the rounding of a half-precision number. So an answer may differ from that of a
// worker that computed the block itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvasir {

// Of `half_bytes` bytes of values (an even number): the scale, 4 bytes, then a byte for each value.
constexpr size_t int8_slice_bytes(size_t half_bytes) {
  return sizeof(float) + half_bytes / 2;
}

constexpr float int8_error_bound(float largest) {
  return largest / 254 + largest / 2048;
}

// Preconditions: packed.size() == int8_slice_bytes(halves.size()); the values are finite.
void pack_int8_slice(std::span<const std::byte> halves, std::span<std::byte> packed);

// Precondition: as above. False: the scale is not one that pack_int8_slice() writes (the values
// would not be finite); `halves` is untouched then.
[[nodiscard]] bool unpack_int8_slice(std::span<const std::byte> packed,
                                     std::span<std::byte> halves);

// One value of half precision.
float half_to_float(uint16_t half);
// The nearest; beyond the largest finite one: that.
uint16_t float_to_half(float value);

}  // namespace kvasir
