#include "apps/pd_proxy_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::IsEmpty, ::testing::StartsWith;

struct UnderstoodPdProxy {
  explicit UnderstoodPdProxy(std::vector<std::string> arguments) {
    CLI::App app;
    PdProxyFlags flags;
    add_pd_proxy_flags(app, flags);
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      refusal = error.what();
      return;
    }
    Result<PdProxyOptions> made = pd_proxy_options(flags);
    if (!made) {
      refusal = made.error().message;
    } else {
      options = std::move(*made);
    }
  }
  PdProxyOptions options;
  std::string refusal;
};

TEST(PdProxyFlags, AnFsPairIsNamedByItsHosts) {
  const UnderstoodPdProxy proxy({"--backend", "fs", "--prefill", "http://vllm-prefill-fs:8000",
                                 "--decode", "http://10.0.0.7:8000"});
  EXPECT_THAT(proxy.refusal, IsEmpty());
  EXPECT_EQ(proxy.options.prefill.front().name, "vllm-prefill-fs");
  EXPECT_EQ(proxy.options.decode.front().name, "10.0.0.7");
  EXPECT_EQ(proxy.options.registration_port, 0);
  EXPECT_EQ(proxy.options.port, 8080);
  EXPECT_EQ(proxy.options.fs_prompt_tokens_max, 2048u);
}

// The variables of the tutorial's manifests stand for flags.
TEST(PdProxyFlags, VariablesNameAPair) {
  setenv("PREFILL_URL", "http://a:8000,http://b:8000", 1);
  setenv("DECODE_URL", "http://c:8000", 1);
  setenv("PREFILL_ZMQ", "a:14579,b:14579", 1);
  setenv("DECODE_ZMQ", "c:14579", 1);
  const UnderstoodPdProxy proxy({"--backend", "p2p"});
  setenv("REGISTRATION_PORT", "30005", 1);
  const UnderstoodPdProxy registering({"--backend", "p2p"});
  for (const char* name :
       {"PREFILL_URL", "DECODE_URL", "PREFILL_ZMQ", "DECODE_ZMQ", "REGISTRATION_PORT"}) {
    unsetenv(name);
  }
  EXPECT_THAT(proxy.refusal, IsEmpty());
  ASSERT_EQ(proxy.options.prefill.size(), 2u);
  EXPECT_EQ(proxy.options.prefill[1].address.host, "b");
  EXPECT_EQ(proxy.options.prefill[1].name, "b:14579");
  EXPECT_EQ(proxy.options.registration_port, 0) << "all are known";
  EXPECT_EQ(registering.options.registration_port, 30005);
}

TEST(PdProxyFlags, P2pWorkersRegisterWhereTheyAreNotKnown) {
  EXPECT_EQ(UnderstoodPdProxy({"--backend", "p2p"}).options.registration_port, 30001);
  EXPECT_EQ(
      UnderstoodPdProxy({"--backend", "p2p", "--prefill", "http://a:1", "--decode", "http://b:1"})
          .options.registration_port,
      30001);
  EXPECT_THAT(UnderstoodPdProxy({"--backend", "p2p", "--registration-port", "0"}).refusal,
              HasSubstr("--prefill"));
  EXPECT_THAT(UnderstoodPdProxy({"--backend", "p2p", "--registration-port", "0", "--prefill",
                                 "http://a:1", "--decode", "http://b:1"})
                  .refusal,
              HasSubstr("--prefill-name (PREFILL_ZMQ) and --decode-name (DECODE_ZMQ): missing"));
  const std::string one_role =
      UnderstoodPdProxy({"--backend", "p2p", "--registration-port", "0", "--prefill", "http://a:1",
                         "--decode", "http://b:1", "--prefill-name", "a:7"})
          .refusal;
  EXPECT_THAT(one_role, StartsWith("--decode-name (DECODE_ZMQ): missing"));
}

TEST(PdProxyFlags, WhatIsWrongIsNamed) {
  const struct {
    std::vector<std::string> arguments;
    const char* named;
  } kCases[] = {
      {{}, "--backend"},
      {{"--backend", "nvlink"}, "--backend"},
      {{"--backend", "fs"}, "--prefill"},
      {{"--backend", "fs", "--prefill", "http://a:1"}, "--decode"},
      {{"--backend", "fs", "--prefill", "https://a:1", "--decode", "http://b:1"}, "TLS"},
      {{"--backend", "fs", "--prefill", "http://a:1", "--decode", "http://b:1", "--prefill-name",
        "a:14579"},
       "--prefill-name"},
      {{"--backend", "p2p", "--prefill", "http://a:1", "--decode", "http://b:1", "--prefill-name",
        "a", "--decode-name", "b:2"},
       "--prefill-name"},
      {{"--backend", "fs", "--prefill", "http://a:1", "--decode", "http://b:1", "--decode-name",
        "b c"},
       "--decode-name"},
      {{"--backend", "fs", "--prefill", "http://a:1,http://c:1", "--decode", "http://b:1",
        "--prefill-name", "a"},
       "--prefill-name has 1 names"},
      {{"--backend", "p2p", "--prefill", "http://a:1", "--decode", "http://b:1", "--prefill-name",
        "a:7", "--decode-name", "a:7"},
       "'a:7' stands there twice"},
      {{"--backend", "p2p", "--registration-ttl", "5"}, "--registration-ttl"},
      {{"--backend", "p2p", "--registration-port", "8080"}, "--registration-port"},
      {{"--backend", "p2p", "--on-prefill-failure", "local-decode"}, "--on-prefill-failure"},
      {{"--backend", "p2p", "--hedge-after", "20"}, "--hedge-after"},
  };
  for (const auto& each : kCases) {
    EXPECT_THAT(UnderstoodPdProxy(each.arguments).refusal, HasSubstr(each.named));
  }
}

// What a decode engine computes, ExampleConnector stores, too.
TEST(PdProxyFlags, DecodeWorkersPrefillOnlyWhereThatBreaksNothing) {
  const auto refusal = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--backend",
                                          "fs",
                                          "--prefill",
                                          "http://a:1",
                                          "--decode",
                                          "http://b:1",
                                          "--on-prefill-failure",
                                          "local-decode"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return UnderstoodPdProxy(arguments).refusal;
  };
  EXPECT_THAT(refusal({}), HasSubstr("--on-prefill-failure"));
  EXPECT_THAT(refusal({"--fs-max-prompt-tokens", "8192"}), HasSubstr("--on-prefill-failure"));
  EXPECT_THAT(refusal({"--fs-max-prompt-tokens", "0"}), IsEmpty());
  EXPECT_THAT(refusal({"--fs-long-prompts", "decode-alone"}), IsEmpty());
}

TEST(PdProxyFlags, TheQueueForRoomHasItsLimits) {
  const UnderstoodPdProxy proxy({"--backend", "fs", "--prefill", "http://a:1", "--decode",
                                 "http://b:1", "--fs-max-waiting", "7", "--fs-wait", "500ms"});
  EXPECT_EQ(proxy.options.fs_waiting_max, 7u);
  EXPECT_EQ(proxy.options.fs_wait_max, std::chrono::milliseconds(500));
}

// docs/PD_PROXY.md has a row for each flag as --help has it, and for no other.
TEST(PdProxyFlags, TheTableInTheDocumentationIsThisOne) {
  const char* const root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  std::ifstream file(std::string(root) + "/docs/PD_PROXY.md");
  std::string documented;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| `--")) documented.append(line).append("\n");
  }
  CLI::App app;
  PdProxyFlags flags;
  add_pd_proxy_flags(app, flags);
  std::string rows;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() == "--help") continue;
    std::string help = option->get_description();
    std::replace(help.begin(), help.end(), '\n', ' ');
    rows += "| `" + option->get_name() + "` | " + option->get_default_str() + " | " + help;
    if (!option->get_envname().empty()) rows += "; `" + option->get_envname() + "`";
    rows += " |\n";
  }
  EXPECT_EQ(documented, rows);
}

}  // namespace
}  // namespace kvasir
