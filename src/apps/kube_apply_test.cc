#include "apps/kube_apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kApplied = R"(# a comment
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: vllm}
spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}]}
---
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceObjective
metadata: {name: high, namespace: other}
spec: {priority: 5, poolRef: {name: vllm}}
)";

TEST(ReadPatches, EachDocumentIsAPatchOfItsObject) {
  const Result<std::vector<ManifestPatch>> patches = read_patches(kApplied, "models");
  ASSERT_TRUE(patches) << patches.error().message;
  ASSERT_EQ(patches->size(), 2u);
  EXPECT_EQ((*patches)[0].name, "InferencePool models/vllm");
  EXPECT_EQ((*patches)[0].path,
            "/apis/inference.networking.k8s.io/v1/namespaces/models/inferencepools/vllm");
  EXPECT_THAT((*patches)[0].yaml, StartsWith("# a comment\napiVersion: inference"));
  EXPECT_EQ((*patches)[1].path,
            "/apis/llm-d.ai/v1alpha2/namespaces/other/inferenceobjectives/high");
  EXPECT_THAT((*patches)[1].yaml, StartsWith("apiVersion: llm-d.ai"));
}

TEST(ReadPatches, ErrorsSayTheLine) {
  EXPECT_EQ(read_patches("# nothing\n", "n").error().message, "it holds no object");
  EXPECT_THAT(read_patches("---\na: [\n", "n").error().message, HasSubstr("line"));
  EXPECT_THAT(read_patches("---\n---\napiVersion: v9\nkind: Job\nmetadata: {name: a}\n", "n")
                  .error()
                  .message,
              StartsWith("line 3: v9 Job is not one of the kinds"));
}

// Answers as it is told, in order.
class ScriptedApi final : public KubeApi {
 public:
  std::unique_ptr<KubeCall> start(KubeRequest request,
                                  std::function<void(KubeAnswer)> done) override {
    requests.push_back(std::string(request.method) + " " + request.target);
    done_ = std::move(done);
    return std::make_unique<KubeCall>();
  }
  std::unique_ptr<KubeCall> watch(std::string, KubeWatchObserver&) override { return nullptr; }
  void answer(int status, const std::string& message = "") {
    KubeAnswer answer;
    answer.http_status = status;
    answer.status.message = message;
    std::exchange(done_, nullptr)(std::move(answer));
  }

  std::vector<std::string> requests;

 private:
  std::function<void(KubeAnswer)> done_;
};

class KubeApplyTest : public ::testing::Test {
 protected:
  void start(Duration wait) {
    KubeApplyOptions options;
    options.wait = wait;
    apply_ = std::make_unique<KubeApply>(
        executor_, api_, read_patches(kApplied, "models").value(), options,
        [this](const std::string& line) { told_.push_back(line); },
        [this](Result<void> done) { outcome_ = std::move(done); });
  }

  VirtualExecutor executor_;
  ScriptedApi api_;
  std::vector<std::string> told_;
  std::optional<Result<void>> outcome_;
  std::unique_ptr<KubeApply> apply_;
};

TEST_F(KubeApplyTest, AppliesOneAfterTheOther) {
  start(Duration::zero());
  api_.answer(201);
  executor_.run_until(executor_.now());
  ASSERT_EQ(api_.requests.size(), 2u);
  EXPECT_EQ(api_.requests[0],
            "PATCH /apis/inference.networking.k8s.io/v1/namespaces/models/inferencepools/"
            "vllm?force=true&fieldManager=kvasir");
  EXPECT_FALSE(outcome_);
  api_.answer(200);
  EXPECT_TRUE(outcome_ && *outcome_);
  EXPECT_THAT(told_, ElementsAre("InferencePool models/vllm created",
                                 "InferenceObjective other/high applied"));
}

TEST_F(KubeApplyTest, WaitsForTheKindAndSaysSoOnce) {
  start(std::chrono::seconds(3));
  for (int i = 0; i < 3; ++i) {
    api_.answer(404);
    EXPECT_FALSE(outcome_) << i;
    executor_.run_until(executor_.now() + std::chrono::seconds(1));
  }
  EXPECT_THAT(told_, ElementsAre(HasSubstr("not there; trying again")));
  api_.answer(404);
  ASSERT_TRUE(outcome_);
  EXPECT_EQ((*outcome_).error().message,
            "InferencePool models/vllm: its kind or its namespace is not there");
}

TEST_F(KubeApplyTest, WhatWaitingCannotMendEndsAtOnce) {
  start(std::chrono::hours(1));
  api_.answer(422, "spec.targetPorts: too many");
  ASSERT_TRUE(outcome_);
  EXPECT_EQ((*outcome_).error().message, "InferencePool models/vllm: spec.targetPorts: too many");
  EXPECT_EQ(api_.requests.size(), 1u);
}

}  // namespace
}  // namespace kvasir
