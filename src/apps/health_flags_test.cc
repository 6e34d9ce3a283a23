#include "apps/health_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

Result<MonitorOptions> options_of(const std::string& command_line) {
  CLI::App app;
  HealthFlags flags;
  add_health_flags(app, flags);
  try {
    app.parse(command_line, false);
  } catch (const CLI::ParseError& error) {
    return Error{error.what()};
  }
  return monitor_options(flags);
}

const std::string& path_for(const MonitorOptions& options, const std::string& engine) {
  Endpoint endpoint;
  if (!engine.empty()) endpoint.labels["llm-d.ai/engine-type"] = engine;
  return options.path_of(endpoint);
}

TEST(HealthFlags, ChecksCanBeLeftOut) {
  const auto checks = [](const std::string& command_line) {
    CLI::App app;
    HealthFlags flags;
    add_health_flags(app, flags);
    app.parse(command_line, false);
    return flags.checks;
  };
  EXPECT_TRUE(checks(""));
  EXPECT_TRUE(checks("--health-checks"));
  EXPECT_FALSE(checks("--no-health-checks"));
}

TEST(HealthFlags, DefaultsAskVllmAndTritonWhereTheirHealthIs) {
  const MonitorOptions options = options_of("").value();
  EXPECT_EQ(path_for(options, ""), "/health");
  EXPECT_EQ(path_for(options, "vllm"), "/health");
  EXPECT_EQ(path_for(options, "triton"), "/v2/health/ready");
  EXPECT_EQ(options.interval, Duration(std::chrono::seconds(1)));
  EXPECT_EQ(options.rules.timeout, Duration(std::chrono::seconds(2)));
  EXPECT_EQ(options.rules.unhealthy_threshold, 2u);
  EXPECT_TRUE(options.try_unhealthy);
}

TEST(HealthFlags, EverythingCanBeSaid) {
  const MonitorOptions options =
      options_of(
          "--health-path /ping,mine=/up?x=1 --health-interval 500ms --health-timeout 7 "
          "--unhealthy-threshold 5 --healthy-threshold 3 --when-none-healthy refuse")
          .value();
  EXPECT_EQ(path_for(options, ""), "/ping");
  EXPECT_EQ(path_for(options, "mine"), "/up?x=1");
  EXPECT_EQ(path_for(options, "triton"), "/v2/health/ready");
  EXPECT_EQ(options.interval, Duration(std::chrono::milliseconds(500)));
  EXPECT_EQ(options.rules.timeout, Duration(std::chrono::seconds(7)));
  EXPECT_EQ(options.rules.unhealthy_threshold, 5u);
  EXPECT_EQ(options.rules.healthy_threshold, 3u);
  EXPECT_FALSE(options.try_unhealthy);
}

TEST(HealthFlags, MistakesAreNamedByTheirFlag) {
  for (const char* wrong : {"--health-path health", "--health-path triton=ready",
                            "--health-path =/x", "--health-path '/a b'"}) {
    const auto options = options_of(wrong);
    ASSERT_FALSE(options) << wrong;
    EXPECT_THAT(options.error().message, HasSubstr("--health-path")) << wrong;
  }
  for (const char* wrong : {"--health-interval 0", "--health-timeout 0", "--health-timeout 100000h",
                            "--unhealthy-threshold 0", "--when-none-healthy maybe"}) {
    const auto options = options_of(wrong);
    ASSERT_FALSE(options) << wrong;
    const std::string flag = std::string(wrong).substr(0, std::string(wrong).find(' '));
    EXPECT_THAT(options.error().message, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace kvasir
