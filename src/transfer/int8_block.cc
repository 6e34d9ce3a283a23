#include "transfer/int8_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/assert.h"

namespace kvasir {
namespace {

constexpr float kHalfLargest = 65504;
constexpr float kInt8Largest = 127;

uint16_t half_at(const std::byte* halves) {
  uint16_t half;
  std::memcpy(&half, halves, sizeof half);
  return half;
}

}  // namespace

// Exponent and fraction move to their places in a float; multiplying by 2^112 sets the exponent's
// bias right, of numbers below 2^-14 too.
float half_to_float(uint16_t half) {
  const auto magnitude = std::bit_cast<float>(uint32_t{half & 0x7fffu} << 13) * 0x1p112f;
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
}

uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const float magnitude = std::min(std::fabs(value), kHalfLargest);
  uint32_t rounded;
  if (magnitude < 0x1p-14f) {
    // Adding 0.5 leaves the multiples of 2^-24 in the fraction, rounded to the nearest.
    rounded = std::bit_cast<uint32_t>(magnitude + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {
    const uint32_t raw = std::bit_cast<uint32_t>(magnitude);
    rounded = (raw - (112u << 23) + 0xfffu + (raw >> 13 & 1u)) >> 13;
  }
  return static_cast<uint16_t>(rounded | sign);
}

void pack_int8_slice(std::span<const std::byte> halves, std::span<std::byte> packed) {
  KVASIR_ASSERT(packed.size() == int8_slice_bytes(halves.size()), "the sizes belong together");
  const size_t values = halves.size() / 2;
  uint16_t largest = 0;  // magnitudes are in the order of their bits
  for (size_t i = 0; i < values; ++i) {
    largest = std::max<uint16_t>(largest, half_at(&halves[2 * i]) & 0x7fffu);
  }
  const float scale = half_to_float(largest) / kInt8Largest;
  const float inverse = scale > 0 ? 1 / scale : 0;
  std::memcpy(packed.data(), &scale, sizeof scale);
  std::byte* out = packed.data() + sizeof scale;
  for (size_t i = 0; i < values; ++i) {
    const float steps = half_to_float(half_at(&halves[2 * i])) * inverse;
    const float nearest = steps + (steps < 0 ? -0.5f : 0.5f);
    out[i] = static_cast<std::byte>(static_cast<int8_t>(static_cast<int32_t>(nearest)));
  }
}

bool unpack_int8_slice(std::span<const std::byte> packed, std::span<std::byte> halves) {
  KVASIR_ASSERT(packed.size() == int8_slice_bytes(halves.size()), "the sizes belong together");
  float scale;
  std::memcpy(&scale, packed.data(), sizeof scale);
  if (!(scale >= 0 && scale <= kHalfLargest / kInt8Largest)) return false;
  const std::byte* in = packed.data() + sizeof scale;
  const size_t values = halves.size() / 2;
  for (size_t i = 0; i < values; ++i) {
    const uint16_t half = float_to_half(scale * static_cast<float>(static_cast<int8_t>(in[i])));
    std::memcpy(&halves[2 * i], &half, sizeof half);
  }
  return true;
}

}  // namespace kvasir
