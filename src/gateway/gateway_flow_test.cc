// Requests that wait at the gateway, are refused there, or end for the sake of others.
#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Act = FakeWorker::Act;

constexpr const char* kReason = "x-llm-d-request-dropped-reason";

// Some seconds of prefill on the machine that the profile describes.
const std::string kLongBody = "{\"stream\":true,\"prompt\":\"" + std::string(300'000, 'x') + "\"}";

class GatewayHoldTest : public GatewayTest {
 protected:
  GatewayHoldTest() {
    options_.pool.policy = "kv";
    options_.pool.preset.hold = true;
  }
  size_t at_workers() const { return a_.bodies.size() + b_.bodies.size(); }
  // Both workers are busy with prompts that they do not answer.
  void occupy() {
    a_.script = {Act::kHang};
    b_.script = {Act::kHang};
    start();
    for (size_t i = 1; i <= 2; ++i) {
      busy_.push_back(begin(kLongBody));
      run_until([&] { return at_workers() == i; });
    }
  }
  void free_one() { busy_.front()->call->cancel(); }
  uint64_t held() { return gateway_->pool().stats().flow.requests; }

  std::vector<std::unique_ptr<Answer>> busy_;
};

TEST_F(GatewayHoldTest, AnIdleFleetHoldsNobody) {
  start();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(complete().head.status(), 200);
  EXPECT_EQ(probe_.outcomes.size(), 20u);
  EXPECT_THAT(probe_.outcomes, Each(FlowOutcome::kDispatched));
  for (const auto& report : probe_.finished) EXPECT_LT(report.held, milliseconds(1));
}

TEST_F(GatewayHoldTest, ARequestWaitsWhileEveryWorkerIsBusyAndGoesWhenOneIsNot) {
  occupy();
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  EXPECT_EQ(at_workers(), 2u);
  free_one();
  run_until([&] { return waiting->over; });
  EXPECT_EQ(waiting->head.status(), 200);
  EXPECT_EQ(at_workers(), 3u);
  EXPECT_GT(probe_.finished.back().held, Duration::zero());
}

TEST_F(GatewayHoldTest, WithoutHoldingItGoesToABusyWorker) {
  options_.pool.preset.hold = false;
  occupy();
  EXPECT_EQ(complete().head.status(), 200);
}

TEST_F(GatewayHoldTest, WhoWaitedTooLongIsTold429AndWhy) {
  options_.pool.preset.held_most = milliseconds(20);
  occupy();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 429);
  EXPECT_EQ(answer.field(kReason), "rejected-ttl-expired");
  EXPECT_EQ(answer.field("x-request-id"), "id-7");
  EXPECT_THAT(answer.body, HasSubstr("the request waited too long"));
  EXPECT_EQ(at_workers(), 2u);
}

TEST_F(GatewayHoldTest, AClientThatLeavesWhileItWaitsIsForgotten) {
  occupy();
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  waiting->call->cancel();
  run_until([&] { return held() == 0; });
  EXPECT_EQ(probe_.finished.back().status, 499);
  EXPECT_THAT(probe_.outcomes, Contains(FlowOutcome::kEvictedContextCancelled));
  free_one();
  EXPECT_EQ(complete().head.status(), 200);
  EXPECT_EQ(at_workers(), 3u);
}

TEST_F(GatewayHoldTest, ManyThatWaitAllGo) {
  occupy();
  std::vector<std::unique_ptr<Answer>> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(begin());
  run_until([&] { return held() == 20; });
  free_one();
  run_until([&] {
    return std::all_of(waiting.begin(), waiting.end(),
                       [](const auto& answer) { return answer->over; });
  });
  for (const auto& answer : waiting) EXPECT_EQ(answer->head.status(), 200);
  EXPECT_EQ(held(), 0u);
}

// Verdicts cross threads here: who is held on one is let go by an end on another.
TEST_F(GatewayHoldTest, ThreadsThatShareTheDoorLeaveNobodyBehind) {
  options_.threads = 3;
  occupy();
  std::vector<std::unique_ptr<Answer>> waiting;
  for (int i = 0; i < 60; ++i) waiting.push_back(begin());
  run_until([&] { return held() == 60; });
  for (size_t i = 0; i < waiting.size(); i += 3) waiting[i]->call->cancel();
  free_one();
  for (size_t i = 2; i < waiting.size(); i += 6) {
    if (!waiting[i]->over) waiting[i]->call->cancel();
  }
  run_until([&] {
    size_t over = 0;
    for (size_t i = 1; i < waiting.size(); i += 3) over += waiting[i]->over;
    return over == 20 && held() == 0;
  });
  for (size_t i = 1; i < waiting.size(); i += 3) EXPECT_EQ(waiting[i]->head.status(), 200);
  busy_.back()->call->cancel();
  run_until([&] { return gateway_->pool().stats().flow.saturation.decode == 0; });
}

TEST_F(GatewayHoldTest, WhoIsHeldWhenItStopsIsAnsweredAndWhoRunsEnds) {
  occupy();
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  bool drained = false;
  gateway_->drain([&] { drained = true; });
  run_until([&] { return waiting->over; });
  EXPECT_EQ(waiting->head.status(), 503);
  EXPECT_EQ(at_workers(), 2u);
  EXPECT_FALSE(drained) << "two requests run";
  for (const auto& busy : busy_) busy->call->cancel();
  run_until([&] { return drained; });
}

TEST_F(GatewayHoldTest, WithoutAWorkerNobodyWaits) {
  options_.pool.feeds.monitor.try_unhealthy = false;
  a_.healthy = b_.healthy = false;
  start(0);
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 503);
  EXPECT_EQ(answer.field(kReason), "rejected-no-endpoints");
}

TEST_F(GatewayHoldTest, AGatewayThatEndsWhileRequestsWaitReleasesThem) {
  occupy();
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  gateway_.reset();
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayHoldTest, APolicyThatDoesNotPredictCannotHold) {
  options_.pool.policy = "round-robin";
  const auto gateway = Gateway::create(*loop_, options_, probe_, [] { return ""; });
  ASSERT_FALSE(gateway);
  EXPECT_THAT(gateway.error().message, HasSubstr("--hold: policy 'round-robin'"));
}

class GatewayFlowControlTest : public GatewayHoldTest {
 protected:
  GatewayFlowControlTest() {
    options_.pool.preset.hold = false;
    options_.pool.policy = "";
    options_.pool.config_name = "test.yaml";
    options_.pool.plugins.allow_alpha = true;
    options_.pool.priorities = {-1, 10};
    options_.pool.priority_of = [](std::string_view objective) -> std::optional<int32_t> {
      if (objective == "batch") return -1;
      if (objective == "premium") return 10;
      return std::nullopt;
    };
  }
  // One request fits on each worker. `gates`: of the features.
  void configure(const std::string& gates, const std::string& flow_control) {
    options_.pool.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nfeatureGates: [" + gates +
        "]\nplugins:\n- type: active-request-scorer\n"
        "- {type: concurrency-detector, parameters: {maxConcurrency: 1}}\n"
        "schedulingProfiles:\n- {name: default, plugins: [{pluginRef: active-request-scorer}]}\n"
        "flowControl: {saturationDetector: {pluginRef: concurrency-detector}" +
        flow_control + "}\n";
  }
  static std::string objective(const std::string& name) {
    return "X-LLM-D-Inference-Objective: " + name + "\r\n";
  }
};

TEST_F(GatewayFlowControlTest, HigherPrioritiesGoFirst) {
  configure("flowControl", "");
  occupy();
  const auto batch = begin("{\"prompt\":\"batch\"}", objective("batch"));
  const auto plain = begin("{\"prompt\":\"plain\"}");
  const auto premium = begin("{\"prompt\":\"premium\"}", objective("premium"));
  run_until([&] { return held() == 3; });
  a_.bodies.clear();
  b_.bodies.clear();
  free_one();
  run_until([&] { return batch->over && plain->over && premium->over; });
  FakeWorker& freed = a_.bodies.empty() ? b_ : a_;
  EXPECT_THAT(freed.bodies, ElementsAre("{\"prompt\":\"premium\"}", "{\"prompt\":\"plain\"}",
                                        "{\"prompt\":\"batch\"}"));
}

TEST_F(GatewayFlowControlTest, AFullQueueRefusesWith429) {
  configure("flowControl", ", maxRequests: 1");
  occupy();
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 429);
  EXPECT_EQ(answer.field(kReason), "rejected-saturated");
  EXPECT_FALSE(waiting->over);
}

TEST_F(GatewayFlowControlTest, AFleetThatScalesFromZeroServesWhoWaited) {
  configure("flowControl", ", noEndpointRequestTTL: 300s");
  options_.pool.feeds.monitor.try_unhealthy = false;
  a_.healthy = b_.healthy = false;
  start(0);
  const auto waiting = begin();
  run_until([&] { return held() == 1; });
  a_.healthy = true;
  run_until([&] { return waiting->over; });
  EXPECT_EQ(waiting->head.status(), 200);
}

TEST_F(GatewayFlowControlTest, ARequestOfHigherPriorityEndsOneThatMayBeShed) {
  configure("flowControl", ", enableEviction: true");
  a_.script = {Act::kHang};
  b_.script = {Act::kHang};
  start();
  const auto batch = begin(kLongBody, objective("batch"));
  run_until([&] { return at_workers() == 1; });
  const auto plain = begin(kLongBody);
  run_until([&] { return at_workers() == 2; });
  const auto premium = begin("{\"prompt\":\"premium\"}", objective("premium"));
  run_until([&] { return batch->over && premium->over; });
  EXPECT_EQ(batch->head.status(), 429);
  EXPECT_EQ(batch->field(kReason), "evicted-priority");
  EXPECT_THAT(batch->body, HasSubstr("request evicted by flow control"));
  EXPECT_EQ(premium->head.status(), 200);
  EXPECT_FALSE(plain->over);
  EXPECT_EQ(gateway_->pool().stats().flow.revocations.confirmed, 1u);
}

TEST_F(GatewayFlowControlTest, WithTheGateOffOnlySheddableRequestsAreRefused) {
  configure("flowControl=false", "");
  occupy();
  EXPECT_EQ(complete().head.status(), 200);
  const auto batch = begin("{}", objective("batch"));
  run_until([&] { return batch->over; });
  EXPECT_EQ(batch->head.status(), 429);
  EXPECT_EQ(batch->field(kReason), "");
  EXPECT_THAT(batch->body, HasSubstr("system saturated, sheddable request dropped"));
}

}  // namespace
}  // namespace kvasir
