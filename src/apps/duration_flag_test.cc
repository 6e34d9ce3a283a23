#include "apps/duration_flag.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

double seconds_of(const std::string& text) {
  CLI::App app;
  double seconds = -1;
  app.add_option("--for", seconds)->transform(as_seconds());
  app.parse("--for " + text, false);
  return seconds;
}

TEST(DurationFlag, GoesWithGosNotationAndWithSeconds) {
  EXPECT_DOUBLE_EQ(seconds_of("50ms"), 0.05);
  EXPECT_DOUBLE_EQ(seconds_of("1h30m"), 5400);
  EXPECT_DOUBLE_EQ(seconds_of("2.5"), 2.5);
  EXPECT_DOUBLE_EQ(seconds_of("0"), 0);
}

TEST(DurationFlag, WhatIsNoneIsRefused) {
  for (const char* text : {"soon", "5parsecs", "ms", "nan", "inf", "1e30", "99999999h"}) {
    EXPECT_THROW(seconds_of(text), CLI::ValidationError) << text;
  }
}

}  // namespace
}  // namespace kvasir
