// Answers whose status says that they are good, and whose body says that they are not.
#include "gateway/gateway_retry_fixture.h"

namespace kvasir {
namespace {

using ::testing::AnyOf;

using Act = FakeWorker::Act;

// What a worker that fails says after it has sent the status 200.
constexpr const char* kErrorsIn200[] = {
    "data: {\"error\": {\"message\": \"x\"}}\n\ndata: [DONE]\n\n",
    "event: error\ndata: {\"message\": \"x\"}\n\n",
    "{\"object\": \"error\", \"message\": \"x\"}",
    "{\"error\": {\"message\": \"x\"}}",
    "",
};

TEST_F(GatewayRetryTest, AnErrorThatSays200IsTriedOnceElsewhere) {
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    for (const char* error : kErrorsIn200) {
      for (const Act act : {Act::kSay, Act::kSayWithoutLength}) {
        a_.says = error;
        a_.script = {act};
        start();
        const Answer answer = complete();
        EXPECT_EQ(answer.body, "b") << policy << ": " << error;
        EXPECT_EQ(probe_.retries, 1);
        EXPECT_EQ(probe_.last_reason, RetryReason::kServerError);
        EXPECT_EQ(b_.bodies, a_.bodies);
        EXPECT_EQ(probe_.in_flight, 0);
        stop();
      }
    }
  }
}

TEST_F(GatewayRetryTest, AStreamThatBeginsWithAnErrorAndStallsIsTriedElsewhere) {
  a_.pieces = {kErrorsIn200[0]};
  a_.script = {Act::kOpenStream};
  start();
  EXPECT_EQ(complete().body, "b");
}

TEST_F(GatewayRetryTest, AnErrorThatSays200IsTheAnswerWhenNobodyHasABetterOne) {
  options_.closed_retries_max = 0;
  for (const char* error : kErrorsIn200) {
    for (const Act act : {Act::kSay, Act::kSayWithoutLength}) {
      for (const Act other : {Act::kCut, Act::kSay}) {
        a_.says = b_.says = error;
        a_.script = {act};
        b_.script = {other};
        start();
        const Answer answer = complete();
        EXPECT_EQ(answer.head.status(), 200);
        EXPECT_EQ(answer.body, error);
        EXPECT_EQ(answer.field("x-selected-pod"), name_of(other == Act::kCut ? a_ : b_));
        EXPECT_EQ(answer.failure, std::nullopt);
        EXPECT_EQ(probe_.retries, 1);
        EXPECT_EQ(probe_.in_flight, 0);
        stop();
      }
    }
  }
}

TEST_F(GatewayRetryTest, AnErrorThatSays200PassesAsItIsWhenErrorsAreNotTriedAgain) {
  options_.error_retries_max = 0;
  for (const char* error : kErrorsIn200) {
    a_.says = error;
    a_.script = {Act::kSay};
    start();
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), 200);
    EXPECT_EQ(answer.body, error);
    EXPECT_EQ(probe_.retries, 0);
    stop();
  }
}

TEST_F(GatewayRetryTest, AnAnswerThatSpeaksOfErrorsIsGood) {
  a_.script = b_.script = {Act::kSay, Act::kSay};
  a_.says = b_.says = R"({"id": "x", "error": null, "choices": [{"text": "{\"error\": {}}"}]})";
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().body, a_.says);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, NothingIsAGoodAnswerToWhatHoldsNoPrompt) {
  a_.script = {Act::kSay};
  start();
  const std::string head =
      "POST /v1/load_lora_adapter HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n";
  EXPECT_EQ(call(head, "{}").body, "");
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, FailingFastWith200DrawsNoTraffic) {
  options_.pool.feeds.eject_outliers = false;
  options_.error_retries_max = 0;
  options_.pool.preset.hold = false;
  options_.pool.journey.fault_pause = std::chrono::minutes(10);
  a_.fails_always = true;
  a_.failing = Act::kSay;
  b_.pieces = {"data: {}\n\n"};
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    for (const char* error : kErrorsIn200) {
      a_.says = error;
      b_.script.assign(40, Act::kOpenStream);  // each is at work on all that it got
      start();
      std::vector<std::unique_ptr<Answer>> answers;
      for (int i = 0; i < 40; ++i) {
        answers.push_back(begin());
        run_until([&] { return !answers.back()->body.empty() || answers.back()->over; });
      }
      EXPECT_EQ(a_.bodies.size(), 1u) << policy << ": " << error;
      EXPECT_EQ(b_.bodies.size(), 39u) << policy << ": " << error;
      stop();
    }
  }
}

TEST_F(GatewayRetryTest, AClientThatHangsUpOnAnErrorIn200TellsOfTheWorkerAllTheSame) {
  options_.error_retries_max = 0;
  options_.pool.journey.fault_pause = std::chrono::minutes(10);
  a_.pieces = {kErrorsIn200[1]};
  a_.script = {Act::kOpenStream};
  start();
  const auto answer = begin();
  run_until([&] { return !answer->body.empty(); });
  answer->call->cancel();
  run_until([&] { return !probe_.finished.empty(); });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().body, "b");
}

TEST_F(GatewayRetryTest, AWorkerThatFailsWith200IsEjected) {
  options_.pool.journey.failure_pause = options_.pool.journey.fault_pause = Duration::zero();
  options_.pool.feeds.ejection.failures_in_a_row = 3;
  for (const uint32_t retries : {0, 1}) {
    options_.error_retries_max = retries;
    a_.fails_always = true;
    a_.failing = Act::kSay;
    start();
    for (int i = 0; i < 20; ++i) complete();
    EXPECT_EQ(a_.bodies.size(), 3u) << retries;
    stop();
  }
}

TEST_F(GatewayRetryTest, ErrorsIn200OfEveryWorkerAreTheRequestsAndEjectNobody) {
  options_.pool.journey.failure_pause = Duration::zero();
  a_.fails_always = b_.fails_always = true;
  a_.failing = b_.failing = Act::kSay;
  start();
  for (const char* error : kErrorsIn200) {
    a_.says = b_.says = error;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(complete().body, error);
  }
  a_.fails_always = b_.fails_always = false;
  EXPECT_THAT(complete().body + complete().body, AnyOf("ab", "ba"));
}

}  // namespace
}  // namespace kvasir
