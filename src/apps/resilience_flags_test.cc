#include "apps/resilience_flags.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

Result<GatewayOptions> read(std::vector<std::string> arguments) {
  CLI::App app;
  ResilienceFlags flags;
  add_resilience_flags(app, flags);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  GatewayOptions options;
  Result<void> result = read_resilience_flags(flags, options);
  if (!result) return result.error();
  return options;
}

TEST(ResilienceFlags, ByDefaultARequestTakesWhatItTakes) {
  const GatewayOptions options = read({}).value();
  EXPECT_EQ(options.request_timeout, Duration::zero());
  EXPECT_EQ(options.request_timeout_max, Duration::zero());
}

TEST(ResilienceFlags, TheMostThatAClientMayAskForIsNoLessThanWhatEveryRequestHas) {
  const auto options = read({"--request-timeout", "2m", "--request-timeout-max", "500"});
  EXPECT_EQ(options.value().request_timeout, std::chrono::minutes(2));
  EXPECT_EQ(options.value().request_timeout_max, std::chrono::seconds(500));
  const auto refused = read({"--request-timeout", "2m", "--request-timeout-max", "30s"});
  EXPECT_EQ(refused.error().message.find("--request-timeout-max: "), 0u);
}

}  // namespace
}  // namespace kvasir
