#include "apps/duration_flag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

double seconds_of(const std::string& text) {
  CLI::App app;
  double seconds = -1;
  add_seconds_flag(app, "--for", seconds, "How long");
  app.parse("--for " + text, false);
  return seconds;
}

double upstream_seconds_of(const std::string& text) {
  CLI::App app;
  double seconds = -1;
  add_upstream_duration_flag(app, "--for", seconds, "How long");
  app.parse("--for " + text, false);
  return seconds;
}

uint32_t milliseconds_of(const std::string& text) {
  CLI::App app;
  uint32_t milliseconds = 0;
  app.add_option("--for", milliseconds)->transform(as_milliseconds())->check(CLI::Range(10, 400));
  app.parse("--for " + text, false);
  return milliseconds;
}

std::string problem_of(double (*read)(const std::string&), const std::string& text) {
  try {
    read(text);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(DurationFlag, OursTakesUnitsAndSeconds) {
  EXPECT_DOUBLE_EQ(seconds_of("50ms"), 0.05);
  EXPECT_DOUBLE_EQ(seconds_of("1h30m"), 5400);
  EXPECT_DOUBLE_EQ(seconds_of("2.5"), 2.5);
  EXPECT_DOUBLE_EQ(seconds_of("10s"), 10);
  EXPECT_DOUBLE_EQ(seconds_of("10"), 10);
  EXPECT_DOUBLE_EQ(seconds_of("0"), 0);
  EXPECT_DOUBLE_EQ(seconds_of("250us"), 0.00025);
}

TEST(DurationFlag, WhatIsNoneIsRefusedWithTheUnits) {
  for (const char* text : {"soon", "5parsecs", "ms", "99999999h", "5 s", "1e3s"}) {
    EXPECT_THAT(problem_of(seconds_of, std::string("\"") + text + "\""),
                HasSubstr("a number of seconds, or a unit with it; the units are ns, us, ms, s, m "
                          "and h, as in 50ms or 1m30s"))
        << text;
  }
  for (const char* text : {"nan", "inf", "1e30"}) EXPECT_NE(problem_of(seconds_of, text), "");
}

// As Go's flags, which say "missing unit".
TEST(DurationFlag, UpstreamsNeedsAUnit) {
  EXPECT_DOUBLE_EQ(upstream_seconds_of("50ms"), 0.05);
  EXPECT_DOUBLE_EQ(upstream_seconds_of("1m30s"), 90);
  EXPECT_DOUBLE_EQ(upstream_seconds_of("0"), 0);
  EXPECT_EQ(problem_of(upstream_seconds_of, "50"),
            "--for: '50' has no unit: write 50ms or 50s; the units are ns, us, ms, s, m and h, as "
            "in 50ms or 1m30s");
  EXPECT_THAT(problem_of(upstream_seconds_of, "2.5"), HasSubstr("'2.5' has no unit"));
  EXPECT_THAT(problem_of(upstream_seconds_of, "soon"), HasSubstr("'soon' is not a duration; the "));
}

TEST(DurationFlag, MillisecondsMayBeWholeNumbers) {
  EXPECT_EQ(milliseconds_of("100"), 100u);
  EXPECT_EQ(milliseconds_of("100ms"), 100u);
  EXPECT_EQ(milliseconds_of("0.2s"), 200u);
  EXPECT_THROW(milliseconds_of("5ms"), CLI::ParseError);
  EXPECT_THROW(milliseconds_of("1s"), CLI::ParseError);
  EXPECT_THROW(milliseconds_of("soon"), CLI::ParseError);
}

TEST(DurationFlag, TheHelpSaysHowADurationIsWritten) {
  CLI::App app;
  double ours = 60;
  double short_time = 0.05;
  add_seconds_flag(app, "--ours", ours, "How long");
  add_upstream_duration_flag(app, "--theirs", short_time, "How often");
  const std::string help = app.help();
  EXPECT_THAT(help, HasSubstr("--ours DURATION=60s"));
  EXPECT_THAT(help, HasSubstr("(seconds, or with a unit: 500ms, 2m)"));
  EXPECT_THAT(help, HasSubstr("--theirs DURATION=50ms"));
  EXPECT_THAT(help, HasSubstr("(with a unit: 500ms, 2m)"));
}

}  // namespace
}  // namespace kvasir
