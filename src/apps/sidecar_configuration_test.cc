#include "apps/sidecar_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "apps/sidecar_flags.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr;
using Words = std::vector<std::string>;

class SidecarConfigurationTest : public ::testing::Test {
 protected:
  SidecarConfigurationTest() {
    add_sidecar_flags(app_, flags_);
    upstream_ = UpstreamFlags::add_to(app_, sidecar_upstream_flags());
  }
  Words read(const Words& words) { return with_configuration(app_, words).value().words; }
  std::string problem(const Words& words) {
    const Result<ConfiguredWords> result = with_configuration(app_, words);
    return result ? "" : result.error().message;
  }
  CLI::App app_;
  SidecarFlags flags_;
  std::shared_ptr<UpstreamFlags> upstream_;
};

TEST_F(SidecarConfigurationTest, KeysAreFlags) {
  EXPECT_THAT(
      read({"--port=9", "--configuration",
            "kv-connector: sglang\nsecure-proxy: false\nhedge-after: 2.5\n"
            "enable-tls: [prefiller, decoder]\nprefill-retry-backoff: 100ms\n"}),
      ElementsAre("--port=9", "--kv-connector=sglang", "--secure-proxy=false", "--hedge-after=2.5",
                  "--enable-tls=prefiller,decoder", "--prefill-retry-backoff=100ms"));
  EXPECT_THAT(read({"--configuration={\"port\": 7}"}), ElementsAre("--port=7"));
  EXPECT_THAT(read({"--configuration="}), ElementsAre());
  EXPECT_THAT(read({"--port", "9"}), ElementsAre("--port", "9"));
}

TEST_F(SidecarConfigurationTest, TheCommandLineWinsUnderAnyOfAFlagsNames) {
  EXPECT_THAT(read({"--vllm-port", "1", "--connector=nixl",
                    "--configuration=model-server-port: 2\nkv-connector: sglang\nport: 3"}),
              ElementsAre("--vllm-port", "1", "--connector=nixl", "--port=3"));
}

TEST_F(SidecarConfigurationTest, AFileIsReadTheSameWay) {
  const std::string path = ::testing::TempDir() + "/sidecar_configuration.yaml";
  std::ofstream(path) << "port: 12\n";
  EXPECT_THAT(read({"--configuration-file=" + path}), ElementsAre("--port=12"));
  std::remove(path.c_str());
  EXPECT_THAT(problem({"--configuration-file", path}), HasSubstr("--configuration-file"));
}

TEST_F(SidecarConfigurationTest, AValueThatItsFlagDoesNotTakeIsNamedWithItsLine) {
  const auto told = [this](const Words& words) -> std::string {
    const ConfiguredWords configured = with_configuration(app_, words).value();
    Words reversed(configured.words.rbegin(), configured.words.rend());
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
      return configuration_error(configured, error.what());
    }
    return "taken";
  };
  EXPECT_THAT(told({"--configuration=kv-connector: sglang\nport: lots"}),
              HasSubstr("--configuration: line 2: --port"));
  EXPECT_THAT(told({"--configuration=vllm-port: 99999"}), HasSubstr("--configuration: line 1: --"));
  EXPECT_EQ(told({"--port=lots", "--configuration=port: 7"}), "") << "the command line's own";
  EXPECT_EQ(told({"--configuration=port: 7"}), "taken");
}

TEST_F(SidecarConfigurationTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(problem({"--configuration=port: 1\nprot: 2"}),
              HasSubstr("--configuration: line 2: 'prot' is not a flag of kvasir sidecar; did you "
                        "mean 'port'?"));
  EXPECT_THAT(problem({"--configuration=port: {a: 1}"}), HasSubstr("port: a flag cannot be a map"));
  EXPECT_THAT(problem({"--configuration=port:"}), HasSubstr("port: a flag cannot be nothing"));
  EXPECT_THAT(problem({"--configuration=[1]"}), HasSubstr("a list; wanted are flags"));
  EXPECT_THAT(problem({"--configuration=a: b: c"}), HasSubstr("--configuration: line 1"));
  EXPECT_THAT(problem({"--configuration=port: 1", "--configuration-file=x"}),
              HasSubstr("give one of them"));
  EXPECT_THAT(problem({"--configuration=port: 1", "--configuration=port: 1"}), HasSubstr("twice"));
  EXPECT_THAT(problem({"--configuration"}), HasSubstr("no value"));
  EXPECT_THAT(problem({"--configuration=configuration: x"}), HasSubstr("is not a flag"));
}

}  // namespace
}  // namespace kvasir
