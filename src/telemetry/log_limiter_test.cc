#include "telemetry/log_limiter.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using namespace std::chrono_literals;

class LogLimiterTest : public testing::Test {
 protected:
  int admitted(std::string_view kind, int times) {
    int count = 0;
    for (int i = 0; i < times; ++i) count += limiter_.admit(kind, clock_.now()) ? 1 : 0;
    return count;
  }
  std::string held_back() {
    std::string text;
    for (const auto& [kind, lines] : limiter_.take_held_back(clock_.now())) {
      text += kind + "=" + std::to_string(lines) + " ";
    }
    return text;
  }

  ManualClock clock_;
  LogLimiter limiter_{{10, 1s, 4}};
};

TEST_F(LogLimiterTest, SoManyLinesOfAKindInAWindowAndTheRestIsCounted) {
  EXPECT_EQ(admitted("a", 25), 10);
  EXPECT_EQ(admitted("b", 3), 3);
  EXPECT_TRUE(limiter_.any_held_back());
  EXPECT_EQ(held_back(), "") << "the window is not over";
  clock_.advance(1s);
  EXPECT_EQ(held_back(), "a=15 ");
  EXPECT_EQ(held_back(), "") << "told once";
  EXPECT_FALSE(limiter_.any_held_back());
  EXPECT_EQ(limiter_.held_back_total(), 15u);
  EXPECT_EQ(admitted("a", 11), 10);
}

TEST_F(LogLimiterTest, ARareKindIsNeverHeldBack) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(admitted("a", 1), 1);
    clock_.advance(100ms);
  }
  EXPECT_FALSE(limiter_.any_held_back());
}

// Whoever takes late finds all of it.
TEST_F(LogLimiterTest, WhatWasHeldBackIsNotForgottenUntilItIsTold) {
  EXPECT_EQ(admitted("a", 20), 10);
  clock_.advance(1h);
  EXPECT_EQ(admitted("a", 5), 0);
  EXPECT_EQ(held_back(), "a=15 ");
  EXPECT_EQ(admitted("a", 5), 5);
}

TEST_F(LogLimiterTest, KindsAreBounded) {
  for (const char* kind : {"a", "b", "c", "d"}) EXPECT_EQ(admitted(kind, 1), 1);
  for (int i = 0; i < 1000; ++i) limiter_.admit("made up " + std::to_string(i), clock_.now());
  clock_.advance(1s);
  EXPECT_EQ(held_back(), "other things=990 ");
  EXPECT_EQ(admitted("e", 1), 1) << "idle kinds make room";
}

}  // namespace
}  // namespace kvasir
