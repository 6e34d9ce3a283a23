// Requests that wait for room, and those that are not let in.
#include "epp/exchange_fixture.h"

namespace kvasir {
namespace {

constexpr const char* kFlowControl = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl]
plugins:
- type: concurrency-detector
  parameters: {maxConcurrency: 1}
- type: active-request-scorer
flowControl: {saturationDetector: {pluginRef: concurrency-detector}}
)";

TEST_F(ExchangeTest, AFullPoolHoldsRequestsUntilThereIsRoom) {
  options_.pool.config = kFlowControl;
  std::vector<std::unique_ptr<FakeStream>> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(std::make_unique<FakeStream>(epp()));
    running.back()->headers({});
    running.back()->body(kBody);
    EXPECT_EQ(running.back()->answers(), 2u);
  }
  FakeStream held(epp());
  held.headers({});
  held.body(kBody);
  EXPECT_EQ(held.answers(), 0u);
  running[1].reset();
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
  ASSERT_EQ(held.answers(), 2u);
  EXPECT_EQ(destination(held.answer(0)), "10.0.0.2:8000");
}

TEST_F(ExchangeTest, AConcurrencyLimitHoldsUnreadRequestsToo) {
  options_.pool.config = kFlowControl;
  const auto send = [&](FakeStream& stream) {
    stream.headers({{":path", "/v1/audio/transcriptions"}});
    stream.body("--boundary not JSON");
  };
  std::vector<std::unique_ptr<FakeStream>> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(std::make_unique<FakeStream>(epp()));
    send(*running.back());
    EXPECT_EQ(running.back()->answers(), 2u);
  }
  FakeStream held(epp());
  send(held);
  EXPECT_EQ(held.answers(), 0u);
  running[0]->headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
  ASSERT_EQ(held.answers(), 2u) << "the end of an unread answer makes room";
  EXPECT_EQ(destination(held.answer(0)), "10.0.0.1:8000");
}

TEST_F(ExchangeTest, AClientThatLeavesWhileItIsHeldLeavesNothingBehind) {
  options_.pool.config = kFlowControl;
  FakeStream first(epp()), second(epp());
  for (FakeStream* stream : {&first, &second}) {
    stream->headers({});
    stream->body(kBody);
  }
  {
    FakeStream held(epp());
    held.headers({});
    held.body(kBody);
  }
  EXPECT_EQ(epp().pool().stats().flow.requests, 0u);
  EXPECT_EQ(probe_.picked.size(), 2u);
}

TEST_F(ExchangeTest, AHeldRequestHasADeadline) {
  options_.pool.config = kFlowControl;
  options_.pool.journey.decision_deadline = std::chrono::milliseconds(1);
  FakeStream first(epp()), second(epp());
  for (FakeStream* stream : {&first, &second}) {
    stream->headers({});
    stream->body(kBody);
  }
  FakeStream held(epp());
  held.headers({});
  held.body(kBody);
  while (held.answers() == 0) {
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
  }
  EXPECT_EQ(held.answer(0).status, 429u);
  EXPECT_EQ(held.answer(0).set_header("x-llm-d-request-dropped-reason"), "rejected-ttl-expired");
}

TEST_F(ExchangeTest, SheddableRequestsAreRefusedWhileNobodyIsThere) {
  options_.pool.feeds.endpoints.clear();
  options_.pool.feeds.endpoints_file = "";
  options_.pool.priority_of = [](std::string_view name) -> std::optional<int32_t> {
    return name == "batch" ? std::optional<int32_t>(-1) : std::nullopt;
  };
  FakeStream stream(epp());
  stream.headers({{"x-llm-d-inference-objective", "batch"}});
  stream.body(kBody);
  EXPECT_EQ(stream.answer(0).status, 429u);
  EXPECT_EQ(stream.answer(0).body,
            "inference error: ResourceExhausted - system saturated, sheddable request dropped");
}

// Its state is with flow control meanwhile.
TEST_F(ExchangeTest, AnAnswerToAHeldRequestEndsItsStream) {
  options_.pool.config = kFlowControl;
  FakeStream first(epp()), second(epp()), held(epp());
  for (FakeStream* stream : {&first, &second, &held}) {
    stream->headers({});
    stream->body(kBody);
  }
  held.headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  EXPECT_TRUE(held.finished());
  EXPECT_EQ(held.code(), GrpcCode::kInvalidArgument);
  EXPECT_EQ(epp().pool().stats().flow.requests, 0u);
}

}  // namespace
}  // namespace kvasir
