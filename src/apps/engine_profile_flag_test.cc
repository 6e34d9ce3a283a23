#include "apps/engine_profile_flag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "timing/engine_profile.h"

namespace kvasir {
namespace {

TEST(EngineProfileFlag, ItsHelpListsTheBuiltinProfilesAndTheDefault) {
  CLI::App app;
  std::string profile;
  add_engine_profile_flag(app, profile, "What it simulates");
  for (const std::string& name : builtin_engine_profiles()) {
    EXPECT_THAT(app.help(), testing::HasSubstr(name));
  }
  EXPECT_THAT(app.help(),
              testing::HasSubstr(std::string(kDefaultEngineProfile) + " (default)"));
}

}  // namespace
}  // namespace kvasir
