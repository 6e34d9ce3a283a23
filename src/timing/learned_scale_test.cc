#include "timing/learned_scale.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvasir {
namespace {

using std::chrono::milliseconds;

TEST(LearnedScale, StartsAtOneAndMovesByTheTwentiethPowerOfTheRatio) {
  LearnedScale scale;
  EXPECT_EQ(scale.value(), 1);
  scale.observe(milliseconds(100), milliseconds(200));
  EXPECT_DOUBLE_EQ(scale.value(), std::pow(2.0, 0.05));
  scale.observe(milliseconds(100), milliseconds(50));
  EXPECT_NEAR(scale.value(), 1, 1e-12);
}

TEST(LearnedScale, IgnoresShortPredictions) {
  LearnedScale scale;
  scale.observe(milliseconds(50), milliseconds(500));
  scale.observe(milliseconds(0), milliseconds(500));
  EXPECT_EQ(scale.value(), 1);
}

TEST(LearnedScale, OneLessonCountsFourfoldAtMost) {
  LearnedScale slow, fast;
  slow.observe(milliseconds(100), milliseconds(100000));
  fast.observe(milliseconds(100), milliseconds(-5));
  EXPECT_DOUBLE_EQ(slow.value(), std::pow(4.0, 0.05));
  EXPECT_DOUBLE_EQ(fast.value(), std::pow(0.25, 0.05));
}

TEST(LearnedScale, FindsTheFactorByWhichTheModelIsWrong) {
  LearnedScale scale;
  for (int i = 0; i < 400; ++i) {
    scale.observe(from_seconds(0.2 * scale.value()), milliseconds(700));
  }
  EXPECT_NEAR(scale.value(), 3.5, 0.01);
}

TEST(LearnedScale, StaysWithinItsLimits) {
  LearnedScale scale;
  for (int i = 0; i < 1000; ++i) scale.observe(milliseconds(100), milliseconds(1000));
  EXPECT_EQ(scale.value(), LearnedScale::kLargest);
  for (int i = 0; i < 1000; ++i) scale.observe(milliseconds(100), milliseconds(0));
  EXPECT_EQ(scale.value(), 1 / LearnedScale::kLargest);
}

}  // namespace
}  // namespace kvasir
