#include "transfer/int8_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"

namespace kvasir {
namespace {

std::vector<std::byte> bytes_of(const std::vector<uint16_t>& halves) {
  std::vector<std::byte> bytes(2 * halves.size());
  std::memcpy(bytes.data(), halves.data(), bytes.size());
  return bytes;
}

std::vector<std::byte> there_and_back(const std::vector<std::byte>& halves) {
  std::vector<std::byte> packed(int8_slice_bytes(halves.size()));
  pack_int8_slice(halves, packed);
  std::vector<std::byte> back(halves.size());
  EXPECT_TRUE(unpack_int8_slice(packed, back));
  return back;
}

float value_at(const std::vector<std::byte>& halves, size_t index) {
  uint16_t half;
  std::memcpy(&half, &halves[2 * index], sizeof half);
  return half_to_float(half);
}

TEST(Int8BlockTest, EveryFiniteHalfIsReadAndWrittenBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    if ((half & 0x7c00) == 0x7c00) continue;  // infinite, or no number
    EXPECT_EQ(float_to_half(half_to_float(static_cast<uint16_t>(half))), half);
  }
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc000), -2.0f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
}

TEST(Int8BlockTest, AFloatBecomesTheNearestHalf) {
  EXPECT_EQ(float_to_half(1.0f + 0x1p-12f), 0x3c00);
  EXPECT_EQ(float_to_half(1.0f + 0x1.8p-11f), 0x3c01);
  EXPECT_EQ(float_to_half(1e9f), 0x7bff);
  EXPECT_EQ(float_to_half(-1e9f), 0xfbff);
}

// Of any finite values, small, large and mixed: no value moves further than the bound.
TEST(Int8BlockTest, NoValueMovesFurtherThanTheBound) {
  Random random(7);
  for (int slice = 0; slice < 2'000; ++slice) {
    const auto exponents = 1 + random.below(30);  // up to so large
    std::vector<uint16_t> halves(1 + random.below(512));
    for (uint16_t& half : halves) {
      half = static_cast<uint16_t>(random.below(exponents << 10) | random.below(2) << 15);
    }
    const std::vector<std::byte> bytes = bytes_of(halves);
    float largest = 0;
    for (const uint16_t half : halves) largest = std::max(largest, std::fabs(half_to_float(half)));
    const float bound = int8_error_bound(largest) + 0x1p-24f;  // the smallest step there is
    const std::vector<std::byte> back = there_and_back(bytes);
    for (size_t i = 0; i < halves.size(); ++i) {
      ASSERT_LE(std::fabs(value_at(bytes, i) - value_at(back, i)), bound) << halves[i];
    }
  }
}

TEST(Int8BlockTest, ZeroesStayZeroes) {
  const std::vector<std::byte> zeroes(64);
  EXPECT_EQ(there_and_back(zeroes), zeroes);
}

TEST(Int8BlockTest, AScaleThatNobodyWritesIsRefused) {
  const float scales[] = {-1.0f, 1e9f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()};
  for (const float scale : scales) {
    std::vector<std::byte> packed(int8_slice_bytes(8));
    std::memcpy(packed.data(), &scale, sizeof scale);
    std::vector<std::byte> halves(8, std::byte{7});
    EXPECT_FALSE(unpack_int8_slice(packed, halves)) << scale;
    EXPECT_EQ(halves, std::vector<std::byte>(8, std::byte{7}));
  }
}

}  // namespace
}  // namespace kvasir
