#include "supervise/restart_backoff.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartBackoff, PausesDoubleUpToTheLongest) {
  RestartBackoff backoff;
  for (const int expected_ms : {200, 400, 800, 1600, 3200, 6400, 10000, 10000}) {
    EXPECT_EQ(backoff.after_death(seconds(1)), milliseconds(expected_ms));
  }
}

TEST(RestartBackoff, ALongLifeStartsOver) {
  RestartBackoff backoff;
  backoff.after_death(seconds(0));
  backoff.after_death(seconds(0));
  EXPECT_EQ(backoff.after_death(seconds(60)), milliseconds(200));
  EXPECT_EQ(backoff.after_death(seconds(0)), milliseconds(400));
}

TEST(RestartBackoff, AlmostAMinuteIsNotALongLife) {
  RestartBackoff backoff;
  backoff.after_death(seconds(0));
  EXPECT_EQ(backoff.after_death(milliseconds(59'999)), milliseconds(400));
}

}  // namespace
}  // namespace kvasir
