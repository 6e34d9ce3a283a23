#include "base/clock.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvasir {
namespace {

TEST(FromSeconds, IsExactWithinALongRange) {
  EXPECT_EQ(from_seconds(0), Duration::zero());
  EXPECT_EQ(from_seconds(1.5), std::chrono::milliseconds(1500));
  EXPECT_EQ(from_seconds(-0.25), std::chrono::milliseconds(-250));
  EXPECT_EQ(from_seconds(1e9), std::chrono::seconds(1'000'000'000));
  EXPECT_EQ(from_seconds(9e9), std::chrono::seconds(9'000'000'000));
  EXPECT_EQ(from_seconds(-9e9), std::chrono::seconds(-9'000'000'000));
}

TEST(FromSeconds, WhatIsLongerThanADurationBecomesTheLongest) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double seconds : {9.3e9, 1e10, 1e30, 1e300, 1.7e308, kInfinity}) {
    EXPECT_EQ(from_seconds(seconds), Duration::max()) << seconds;
    EXPECT_EQ(from_seconds(-seconds), Duration::min()) << -seconds;
  }
}

TEST(FromSeconds, AtTheLimitItself) {
  const double most = std::ldexp(1, 63) / 1e9;
  ASSERT_EQ(most, 9223372036.854775808);
  EXPECT_EQ(from_seconds(most), Duration::max());
  EXPECT_EQ(from_seconds(-most), Duration::min());
  EXPECT_LT(from_seconds(std::nextafter(most, 0)), Duration::max());
  EXPECT_GT(from_seconds(std::nextafter(-most, 0)), Duration::min());
}

TEST(FromSeconds, WhatIsNoNumberIsNoTime) {
  EXPECT_EQ(from_seconds(std::nan("")), Duration::zero());
  EXPECT_EQ(from_seconds(-std::nan("")), Duration::zero());
}

TEST(FromSeconds, IsKnownAtCompileTime) {
  static_assert(from_seconds(0.5) == std::chrono::milliseconds(500));
  static_assert(from_seconds(1e300) == Duration::max());
}

}  // namespace
}  // namespace kvasir
