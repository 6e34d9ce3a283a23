#include "apps/epp_upstream_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace kvasir {
namespace {

std::string refusal_of(const std::string& command_line) {
  CLI::App app;
  const auto flags = UpstreamFlags::add_to(app);
  app.parse(command_line, false);
  const Result<void> checked = flags->check();
  return checked ? "" : checked.error().message;
}

TEST(UpstreamFlags, WhatChangesNothingIsTaken) {
  for (const char* line : {"", "--pool-group g --pool-namespace=n", "--tracing=false", "--tracing",
                           "--ha-enable-leader-election=false", "--zap-encoder json",
                           "--metrics-endpoint-auth=false", "--grpc-max-recv-msg-size 1000"}) {
    EXPECT_EQ(refusal_of(line), "") << line;
  }
}

TEST(UpstreamFlags, WhatWouldBeMissedIsRefusedWithAWayOut) {
  EXPECT_EQ(refusal_of("--ha-enable-leader-election=true"),
            "--ha-enable-leader-election=true is not there: replicas need no leader: name them "
            "with --peers");
  EXPECT_EQ(refusal_of("--ha-enable-leader-election"),
            "--ha-enable-leader-election=true is not there: replicas need no leader: name them "
            "with --peers");
  EXPECT_NE(refusal_of("--kv-cache-usage-percentage-metric vllm:x"), "");
  EXPECT_NE(refusal_of("--endpoint-selector app=vllm"), "");
}

TEST(UpstreamFlags, WhatIsTakenIsSaid) {
  CLI::App app;
  const auto flags = UpstreamFlags::add_to(app);
  app.parse("--pool-namespace n", false);
  ASSERT_EQ(flags->notes().size(), 1u);
  EXPECT_EQ(flags->notes()[0], "--pool-namespace is taken and changes nothing here");
}

}  // namespace
}  // namespace kvasir
