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

TEST(NumberChecks, TheProblemNamesTheNumberAndItsRange) {
  std::string text = "nan";
  EXPECT_EQ(above_zero()(text), "nan must be a number above 0 and at most 1000000000");
}

}  // namespace
}  // namespace kvasir
