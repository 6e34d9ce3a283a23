#include "apps/number_checks.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

bool takes(const CLI::Validator& check, std::string text) {
  return check(text).empty();
}

TEST(NumberChecks, WhatIsNoNumberOrMakesNoDurationIsRefused) {
  for (const char* text : {"nan", "NaN", "-nan", "inf", "-inf", "1e300", "1e10", "-1", "-1e-9", "x",
                           "", "1e309", "5 s"}) {
    EXPECT_FALSE(takes(above_zero(), text)) << text;
    EXPECT_FALSE(takes(from_zero(), text)) << text;
    EXPECT_FALSE(takes(time_scale_check(), text)) << text;
  }
  EXPECT_FALSE(takes(above_zero(), "0"));
  EXPECT_TRUE(takes(from_zero(), "0"));
  for (const char* text : {"0.001", "1", "600", "1e6"}) {
    EXPECT_TRUE(takes(above_zero(), text)) << text;
    EXPECT_TRUE(takes(from_zero(), text)) << text;
    EXPECT_TRUE(takes(time_scale_check(), text)) << text;
  }
  EXPECT_TRUE(takes(above_zero(), "1000000000"));
  EXPECT_FALSE(takes(time_scale_check(), "1e-320"));
}

TEST(NumberChecks, AHoldThresholdIsAMillisecondToTenMinutes) {
  for (const char* text : {"0", "0.0009", "600.1", "-0.05", "nan", ""}) {
    EXPECT_FALSE(takes(hold_threshold_check(), text)) << text;
  }
  for (const char* text : {"0.001", "0.05", "600"}) {
    EXPECT_TRUE(takes(hold_threshold_check(), text)) << text;
  }
}

TEST(NumberChecks, ANumberWithoutASignIsNotBelowZero) {
  uint64_t count = 0;
  std::vector<uint32_t> counts;
  int64_t signed_count = 0;
  double seconds = 0;
  const auto told = [&](std::vector<const char*> arguments) -> std::string {
    CLI::App app("", "program");
    CLI::App* command = app.add_subcommand("command")->add_subcommand("inner");
    command->add_option("--count", count);
    command->add_option("--checked", count)->check(CLI::Range(1, 5));
    command->add_option("--counts", counts);
    command->add_option("--signed", signed_count);
    command->add_option("--seconds", seconds);
    refuse_negative_counts(app);
    arguments.insert(arguments.begin(), {"program", "command", "inner"});
    try {
      app.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
    return "fine";
  };
  for (const char* flag : {"--count", "--checked", "--counts"}) {
    for (const char* number : {"-1", " -1", "-0x1", "-18446744073709551615"}) {
      EXPECT_EQ(told({flag, number}).find(std::string(flag) + ": "), 0u) << flag << number;
    }
    EXPECT_EQ(told({flag, "2"}), "fine") << flag;
  }
  EXPECT_EQ(told({"--count", "-1"}), "--count: '-1' is below 0");
  EXPECT_EQ(told({"--counts", "1", "-1"}), "--counts: '-1' is below 0");
  EXPECT_EQ(told({"--count", "18446744073709551615"}), "fine");
  EXPECT_EQ(told({"--signed", "-1", "--seconds", "-1.5"}), "fine");
}

TEST(NumberChecks, TheProblemNamesTheNumberAndItsRange) {
  std::string text = "nan";
  EXPECT_EQ(above_zero()(text), "nan must be a number above 0 and at most 1000000000");
}

}  // namespace
}  // namespace kvasir
