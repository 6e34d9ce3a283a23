#include "apps/sidecar_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/upstream_flags_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::IsEmpty;

struct UnderstoodSidecar {
  explicit UnderstoodSidecar(std::vector<std::string> arguments) {
    CLI::App app;
    add_sidecar_flags(app, flags);
    upstream = UpstreamFlags::add_to(app, sidecar_upstream_flags());
    arguments = with_two_dashes(std::move(arguments));
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      refusal = error.what();
      return;
    }
    if (const Result<void> checked = upstream->check(); !checked) {
      refusal = checked.error().message;
    }
  }
  SidecarFlags flags;
  std::shared_ptr<UpstreamFlags> upstream;
  std::string refusal;
};

// As the tutorial writes them, but for what is not there yet.
TEST(SidecarFlags, OneDashOrTwo) {
  const UnderstoodSidecar tutorial(
      {"-port=9000", "-vllm-port=9001", "-connector=shared-storage", "-secure-proxy=false"});
  EXPECT_EQ(tutorial.refusal, "");
  EXPECT_EQ(tutorial.flags.port, 9000);
  EXPECT_EQ(tutorial.flags.model_server_port, 9001);
  const SidecarOptions options = sidecar_options(tutorial.flags).value();
  EXPECT_EQ(options.handoff.dialect, KvDialect::kSharedStorage);
  EXPECT_EQ(options.decoder.port, 9001);
  EXPECT_EQ(UnderstoodSidecar({"--port", "7"}).flags.port, 7);
  EXPECT_EQ(UnderstoodSidecar({"-port", "7"}).flags.port, 7);
}

TEST(SidecarFlags, WhatIsNotThereIsRefusedByName) {
  for (const UpstreamFlag& flag : sidecar_upstream_flags()) {
    if (flag.effect == FlagEffect::kHonoured) continue;
    const std::string value = flag.is_switch ? "true" : flag.is_duration ? "7s" : "7";
    const UnderstoodSidecar understood({std::string(flag.name) + "=" + value});
    const bool refused = flag.effect == FlagEffect::kRefused;
    EXPECT_THAT(refused ? understood.refusal : understood.upstream->warning(),
                HasSubstr(flag.name.substr(2)))
        << flag.name;
    if (!refused) {
      EXPECT_THAT(understood.refusal, IsEmpty()) << flag.name;
    }
    if (flag.harmless.empty()) continue;
    const UnderstoodSidecar anyway({std::string(flag.name) + "=" + std::string(flag.harmless)});
    EXPECT_THAT(anyway.refusal + anyway.upstream->warning(), IsEmpty()) << flag.name;
  }
}

TEST(SidecarFlags, WrongOnesAreNamed) {
  EXPECT_THAT(UnderstoodSidecar({"--kv-connector=mooncake"}).refusal, HasSubstr("--kv-connector"));
  EXPECT_THAT(UnderstoodSidecar({"--port=0"}).refusal, HasSubstr("--port"));
  SidecarFlags same;
  same.port = same.model_server_port = 8000;
  EXPECT_THAT(sidecar_options(same).error().message, HasSubstr("--model-server-port"));
}

// docs/SIDECAR.md has a row for each flag, and for no other.
TEST(SidecarFlags, TheTableInTheDocumentationIsThisOne) {
  const std::optional<std::string> found = documented_flags("SIDECAR.md");
  if (!found) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  EXPECT_EQ(*found, rows_of_flags(sidecar_upstream_flags()));
}

}  // namespace
}  // namespace kvasir
