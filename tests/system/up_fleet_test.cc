// `kvasir up -f`: a fleet that a file describes, with real workers and a real gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "running_up.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A folder with a fleet.yaml and what lies beside it.
class UpFleet : public ::testing::Test {
 protected:
  UpFleet() {
    std::string name = (fs::temp_directory_path() / "up-fleet-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~UpFleet() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_;
};

constexpr char kRoles[] = R"(time-scale: 50
workers:
  prefill: {count: 2, role: prefill, flags: &model {served-model-name: "model-of-{gateway.port}"}}
  decode: {role: decode, flags: *model}
gateway: {config: routing.yaml}
)";

// Only for workers that may decode.
constexpr char kDecoders[] = R"(apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: decode-filter
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins: [{pluginRef: decode-filter}, {pluginRef: max-score-picker}]
)";

TEST_F(UpFleet, TheGatewayKnowsEachWorkersNameAndRole) {
  write("fleet.yaml", kRoles);
  write("routing.yaml", kDecoders);
  RunningUp up({"-f", folder_.string(), "--port", "0"});
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  EXPECT_THAT(up.output(), HasSubstr("Starting 2 x prefill, decode and a gateway."));
  EXPECT_THAT(up.output(), HasSubstr("prefill-1  http://127.0.0.1:"));
  EXPECT_THAT(up.output(), HasSubstr("  decode worker\n"));
  const std::string body = R"({"prompt": "Hello", "max_tokens": 2, "model": "model-of-)" +
                           std::to_string(up.endpoint().port) + "\"}";
  std::set<std::string> chosen;
  for (int i = 0; i < 6; ++i) {
    const Result<HttpAnswer> answer = up.post("/v1/completions", body);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    ASSERT_EQ(answer->head.status(), 200) << answer->body;
    chosen.emplace(answer->head.find("x-selected-pod").value_or(""));
  }
  EXPECT_THAT(chosen, ElementsAre("decode"));
  EXPECT_EQ(up.children().size(), 4u);
  up.signal(SIGINT);
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.exit_words(), "exited with status 0");
}

TEST_F(UpFleet, WhatIsWrongInTheFileIsToldWithItsPlace) {
  write("fleet.yaml", "workers:\n  w:\n    flags: {}\n    cuont: 2\n");
  RunningUp up({"-f", folder_.string()});
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.exit_words(), "exited with status 2");
  EXPECT_EQ(up.output(), "kvasir up: --fleet: " + (folder_ / "fleet.yaml").string() +
                             ":4: workers.w: unknown key 'cuont'; did you mean 'count'?\n");
}

TEST_F(UpFleet, AFlagThatAWorkerDoesNotKnowIsToldWithTheWorkersWords) {
  write("fleet.yaml", "workers:\n  w: {flags: {block-syze: 16}}\n");
  RunningUp up({"-f", folder_.string(), "--port", "0"});
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.exit_words(), "exited with status 1");
  EXPECT_THAT(up.output(), HasSubstr("w exited with status 2 while starting: "));
  EXPECT_THAT(up.output(), HasSubstr("--block-syze"));
}

TEST_F(UpFleet, AFlagThatTheFileSaysIsRefused) {
  write("fleet.yaml", "workers:\n  w: {}\n");
  RunningUp up({"-f", folder_.string(), "--workers", "3"});
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.output(), "kvasir up: --workers: with --fleet its file says that\n");
}

}  // namespace
}  // namespace kvasir
