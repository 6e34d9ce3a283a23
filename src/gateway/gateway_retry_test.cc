// What the gateway does when workers fail: whom it tries next, whom it blames, what the client
// gets.
#include <algorithm>
#include <fstream>

#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Act = FakeWorker::Act;

// Round robin begins with a, so that is the one that fails.
class GatewayRetryTest : public GatewayTest {
 protected:
  std::string name_of(const FakeWorker& worker) const {
    return "127.0.0.1:" + std::to_string(worker.port());
  }
  void stop() {
    client_.reset();
    gateway_.reset();
    probe_.forget();
    a_.bodies.clear();
    b_.bodies.clear();
  }
};

TEST_F(GatewayRetryTest, AServerErrorIsTriedOnceElsewhere) {
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    for (const Act act :
         {Act::kError, Act::kErrorNoLength, Act::kErrorThatStalls, Act::kErrorThatIsLong}) {
      a_.script = {act};
      start();
      const Answer answer = complete();
      EXPECT_EQ(answer.head.status(), 200) << policy;
      EXPECT_EQ(answer.body, "b");
      EXPECT_EQ(probe_.retries, 1);
      EXPECT_EQ(probe_.last_reason, RetryReason::kServerError);
      EXPECT_EQ(b_.bodies, a_.bodies);
      stop();
    }
  }
}

TEST_F(GatewayRetryTest, OnlyPassingErrorsAreTriedAgain) {
  for (const int status : {400, 404, 408, 422, 501, 505}) {
    a_.script = {Act::kError};
    a_.error_status = status;
    start();
    EXPECT_EQ(complete().head.status(), status);
    EXPECT_EQ(probe_.retries, 0);
    stop();
  }
  for (const int status : {429, 500, 502, 503, 504}) {
    a_.script = {Act::kError};
    a_.error_status = status;
    start();
    EXPECT_EQ(complete().head.status(), 200) << status;
    stop();
  }
}

TEST_F(GatewayRetryTest, TheSecondErrorIsTheAnswer) {
  a_.fails_always = b_.fails_always = true;
  b_.error_status = 503;
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 503);
  EXPECT_EQ(answer.body, "error of b");
  EXPECT_EQ(answer.field("x-selected-pod"), name_of(b_));
  EXPECT_EQ(probe_.retries, 1);
  EXPECT_EQ(a_.bodies.size() + b_.bodies.size(), 2u);
}

// It is load, not a fault: a full worker's request goes to a free one, and nobody is blamed.
TEST_F(GatewayRetryTest, ARequestTooManyForOneGoesToAnother) {
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    a_.script = {Act::kError};
    a_.error_status = 429;
    start();
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), 200) << policy;
    EXPECT_EQ(answer.body, "b");
    EXPECT_EQ(probe_.retries, 1);
    EXPECT_EQ(probe_.last_reason, RetryReason::kTooManyRequests);
    EXPECT_THAT(probe_.bad_answers, IsEmpty());
    stop();
  }
}

TEST_F(GatewayRetryTest, WhenAllAreFullTheClientGetsTheFirst429AsItWas) {
  a_.fails_always = b_.fails_always = true;
  a_.error_status = b_.error_status = 429;
  a_.error_fields = "Retry-After: 7\r\n";
  b_.error_fields = "Retry-After: 9\r\n";
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 429);
  EXPECT_EQ(answer.field("retry-after"), "7");
  EXPECT_EQ(answer.body, "error of a");
  EXPECT_EQ(answer.field("x-selected-pod"), name_of(a_));
  EXPECT_EQ(a_.bodies.size() + b_.bodies.size(), 2u);
  EXPECT_THAT(probe_.bad_answers, IsEmpty()) << "a 429 is no bad answer";
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayRetryTest, AWorseAnswerThanTheFirst429IsNotSent) {
  for (const Act act :
       {Act::kError, Act::kErrorThatStalls, Act::kErrorThatIsLong, Act::kCut, Act::kSay}) {
    a_.script = {Act::kError};
    a_.error_status = 429;
    b_.script = {act};
    b_.says = "{\"error\": {\"message\": \"no\"}}";
    options_.closed_retries_max = 0;
    start();
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), 429) << static_cast<int>(act);
    EXPECT_EQ(answer.body, "error of a");
    EXPECT_EQ(complete().head.status(), 200);
    stop();
  }
}

TEST_F(GatewayRetryTest, A429AfterAServerErrorIsTheAnswer) {
  a_.script = b_.script = {Act::kError};
  b_.error_status = 429;
  start();
  EXPECT_EQ(complete().head.status(), 429);
  EXPECT_EQ(probe_.retries, 1);
}

TEST_F(GatewayRetryTest, A429IsNotTriedElsewhereWhenErrorsAreNot) {
  options_.error_retries_max = 0;
  a_.script = {Act::kError};
  a_.error_status = 429;
  start();
  EXPECT_EQ(complete().head.status(), 429);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, BeingFullTakesNobodyOut) {
  options_.pool.journey.failure_pause = options_.pool.journey.fault_pause = Duration::zero();
  a_.fails_always = true;
  a_.error_status = 429;
  start();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(complete().body, "b");
  EXPECT_EQ(probe_.healthy, 2);
  a_.fails_always = false;
  EXPECT_THAT(complete().body + complete().body, AnyOf("ab", "ba"));
}

TEST_F(GatewayRetryTest, A502SaysWhichEndpointDidWhat) {
  options_.pool.feeds.endpoints.pop_back();
  options_.pool.journey.failure_pause = options_.pool.journey.fault_pause = Duration::zero();
  options_.client.first_byte_timeout = milliseconds(50);
  options_.closed_retries_max = 0;
  const struct {
    Act act;
    int status;
    std::string message;
  } cases[] = {
      {Act::kCut, 502,
       "no worker could answer, and the request itself may be why: NAME: connection closed before "
       "the answer was complete"},
      {Act::kCutAfterHead, 502,
       "no worker could answer, and the request itself may be why: NAME: connection closed before "
       "the answer was complete"},
      {Act::kNoHttp, 502, "no worker could answer: NAME: the answer is not valid HTTP/1.1: "},
      {Act::kHang, 504,
       "the worker did not answer in time: NAME: no byte of the answer within 50 ms"},
  };
  for (const auto& bad : cases) {
    a_.script = {bad.act};
    start(1);
    const Answer answer = complete();
    std::string message = bad.message;
    message.replace(message.find("NAME"), 4, name_of(a_));
    EXPECT_EQ(answer.head.status(), bad.status);
    EXPECT_THAT(answer.body, HasSubstr("\"message\":\"" + message)) << answer.body;
    stop();
  }
}

TEST_F(GatewayRetryTest, A502NamesEveryEndpointThatWasAsked) {
  options_.pool.feeds.monitor.interval = seconds(60);
  start();
  a_.close();
  b_.close();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_THAT(answer.body,
              HasSubstr("no worker could answer: " + name_of(a_) + ": connection refused; " +
                        name_of(b_) + ": connection refused"));
}

TEST_F(GatewayRetryTest, A502TellsNoAddressOfAnEndpointThatHasAName) {
  const std::string file = testing::TempDir() + "named_endpoints.yaml";
  std::ofstream(file) << "endpoints: [{name: vllm-0, address: 127.0.0.1, port: " << a_.port()
                      << "}]\n";
  options_.pool.feeds.endpoints.clear();
  options_.pool.feeds.endpoints_file = file;
  a_.script = {Act::kCut};
  start(1);
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_THAT(answer.body, HasSubstr(": vllm-0: connection closed before"));
  EXPECT_THAT(answer.body, Not(HasSubstr("127.0.0.1")));
}

TEST_F(GatewayRetryTest, WhenNobodyElseAnswersTheClientGetsTheWorkersOwnError) {
  for (const Act act : {Act::kError, Act::kErrorNoLength}) {
    a_.script = {act};
    b_.script = {Act::kCut};
    options_.closed_retries_max = 0;
    start();
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), 500);
    EXPECT_EQ(answer.body, "error of a");
    EXPECT_EQ(answer.field("x-selected-pod"), name_of(a_));
    EXPECT_EQ(answer.field("x-request-id"), "id-7");
    EXPECT_EQ(probe_.finished.back().status, 500);
    EXPECT_EQ(probe_.in_flight, 0);
    stop();
  }
}

TEST_F(GatewayRetryTest, TheOnlyWorkersErrorPassesAsItIs) {
  options_.pool.feeds.endpoints.pop_back();
  a_.script = {Act::kError, Act::kErrorThatIsLong};
  start(1);
  EXPECT_EQ(complete().body, "error of a");
  EXPECT_EQ(complete().body.size(), 100'000u);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, ErrorsAreNotTriedAgainWhenThatIsTurnedOff) {
  options_.error_retries_max = 0;
  a_.script = {Act::kError};
  start();
  EXPECT_EQ(complete().body, "error of a");
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, WhatIsNoInferenceIsTriedAgainToo) {
  a_.script = {Act::kError};
  b_.script = {Act::kError};
  start();
  const std::string models = "GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n";
  EXPECT_EQ(call(models).head.status(), 500) << "both fail";
  a_.script = {Act::kError};
  EXPECT_EQ(call(models).head.status(), 200);
  EXPECT_EQ(call(models).head.status(), 200);
}

TEST_F(GatewayRetryTest, FailingIsNoSignOfSpeed) {
  options_.pool.feeds.eject_outliers = false;
  options_.error_retries_max = 0;
  options_.pool.preset.hold = false;
  a_.fails_always = true;
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    start();
    for (int i = 0; i < 64; ++i) complete();
    // One for each second that this takes.
    EXPECT_LE(a_.bodies.size(), 10u) << policy;
    EXPECT_GE(a_.bodies.size(), 1u) << policy;
    stop();
  }
}

TEST_F(GatewayRetryTest, AFullWorkerIsNotTakenForAnIdleOne) {
  options_.pool.journey.failure_pause = seconds(1);
  options_.pool.preset.hold = false;
  a_.fails_always = true;
  a_.error_status = 429;
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    start();
    for (int i = 0; i < 64; ++i) EXPECT_EQ(complete().body, "b") << policy;
    EXPECT_LE(a_.bodies.size(), 10u) << policy;
    EXPECT_EQ(probe_.retries, static_cast<int>(a_.bodies.size())) << policy;
    stop();
  }
}

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

TEST_F(GatewayRetryTest, ARequestThatItsWorkerClosesForGoesToOneMoreAndIsToldOnce) {
  FakeWorker c(*loop_, "c");
  options_.pool.feeds.endpoints.push_back(worker_at(c.port()));
  a_.script = b_.script = c.script = {Act::kCut};
  start(3);
  EXPECT_EQ(complete().head.status(), 502);
  EXPECT_EQ(a_.bodies.size() + b_.bodies.size() + c.bodies.size(), 2u);
  EXPECT_THAT(probe_.poison, ElementsAre("id-7"));
}

TEST_F(GatewayRetryTest, EachBadEndIsToldWithItsWorkerAndWhy) {
  options_.pool.feeds.endpoints.pop_back();
  options_.client.first_byte_timeout = milliseconds(50);
  options_.pool.journey.failure_pause = Duration::zero();
  const struct {
    Act act;
    std::string starts, ends;
  } cases[] = {
      {Act::kCutMidStream, "cut 200 id-7 ",
       ": connection lost: closed by the server before the answer was complete"},
      {Act::kHang, "504 id-7 ", ": no byte of the answer arrived in time"},
      {Act::kError, "500 id-7 ", ": the error is the worker's own"},
      {Act::kCut, "502 id-7 ",
       ": connection lost: closed by the server before the answer was complete"},
      {Act::kSay, "200 id-7 ", ": its answer holds an error or nothing"},
  };
  a_.says = "{\"error\": {\"message\": \"secret\"}}";
  for (const auto& bad : cases) {
    a_.script = {bad.act};
    start(1);
    const Answer answer = complete();
    EXPECT_THAT(probe_.bad_answers, ElementsAre(bad.starts + name_of(a_) + bad.ends));
    EXPECT_EQ(probe_.retries, 0) << "there is nobody to try";
    if (bad.act != Act::kError && bad.act != Act::kCut) {
      EXPECT_EQ(answer.field("x-selected-pod"), name_of(a_));
    }
    EXPECT_EQ(complete().body, "a");
    EXPECT_EQ(probe_.bad_answers.size(), 1u) << "a good answer is not told";
    stop();
  }
}

TEST_F(GatewayRetryTest, ARetryIsToldOnlyWhenThereIsOne) {
  options_.closed_retries_max = 5;
  a_.script = b_.script = {Act::kCut};
  start();
  EXPECT_EQ(complete().head.status(), 502);
  EXPECT_EQ(probe_.retries, 1) << "from a to b, and on to nobody";
  EXPECT_THAT(
      probe_.bad_answers,
      ElementsAre("502 id-7 " + name_of(b_) +
                  ": connection lost: closed by the server before the answer was complete"));
}

TEST_F(GatewayRetryTest, TheErrorOfTheFirstIsToldAsItsOwn) {
  options_.closed_retries_max = 0;
  a_.script = {Act::kError};
  b_.script = {Act::kCut};
  start();
  EXPECT_EQ(complete().head.status(), 500);
  EXPECT_THAT(probe_.bad_answers,
              ElementsAre("500 id-7 " + name_of(a_) + ": the error is the worker's own"));
}

TEST_F(GatewayRetryTest, PoisonTakesNobodyOut) {
  options_.pool.journey.failure_pause = Duration::zero();
  start();
  for (int i = 0; i < 20; ++i) {
    a_.script = b_.script = {Act::kCut};
    EXPECT_EQ(complete().head.status(), 502);
  }
  const int checks = a_.checks + b_.checks;
  run_until([&] { return a_.checks + b_.checks >= checks + 4; });
  EXPECT_EQ(probe_.healthy, 2);
  // Both get requests: nobody was ejected.
  a_.script = b_.script = {};
  EXPECT_THAT(complete().body + complete().body, AnyOf("ab", "ba"));
  EXPECT_EQ(probe_.poison.size(), 20u);
}

TEST_F(GatewayRetryTest, ErrorsOfEveryWorkerAreTheRequestsAndEjectNobody) {
  options_.pool.journey.failure_pause = Duration::zero();
  a_.fails_always = b_.fails_always = true;
  start();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(complete().head.status(), 500);
  a_.fails_always = b_.fails_always = false;
  EXPECT_THAT(complete().body + complete().body, AnyOf("ab", "ba"));
}

TEST_F(GatewayRetryTest, StaleConnectionsCostNoAttempt) {
  options_.attempts_max = 1;
  start();
  // A worker that has left: its connections are closed, and a new process answers at its port.
  std::vector<std::unique_ptr<Answer>> held;
  a_.script = b_.script = {};
  for (int i = 0; i < 8; ++i) held.push_back(begin());
  run_until([&] {
    return std::all_of(held.begin(), held.end(), [](const auto& answer) { return answer->over; });
  });
  a_.script = b_.script = {Act::kCut};  // on a kept-alive connection
  EXPECT_EQ(complete().head.status(), 200);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, ARequestOnAFrozenWorkerIsSentElsewhere) {
  options_.pool.feeds.monitor.rules.timeout = milliseconds(10);
  a_.script = {Act::kHang};
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    a_.script = {Act::kHang};
    a_.frozen = false;
    start();
    const auto answer = begin();
    run_until([&] { return a_.bodies.size() == 1; });
    a_.frozen = true;
    run_until([&] { return answer->over; });
    EXPECT_EQ(answer->body, "b") << policy;
    EXPECT_EQ(probe_.last_reason, RetryReason::kUnhealthy);
    EXPECT_EQ(probe_.in_flight, 0);
    stop();
  }
}

TEST_F(GatewayRetryTest, ASlowRequestOnAHealthyWorkerStays) {
  a_.script = {Act::kHang};
  start();
  const auto answer = begin();
  run_until([&] { return a_.bodies.size() == 1; });
  const int checks = a_.checks;
  run_until([&] { return a_.checks >= checks + 20; });
  EXPECT_FALSE(answer->over);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayRetryTest, WhenAllAreFrozenTheRequestStaysWhereItIs) {
  options_.pool.feeds.monitor.rules.timeout = milliseconds(5);
  a_.script = b_.script = {Act::kHang};
  start();
  const auto answer = begin();
  run_until([&] { return a_.bodies.size() == 1; });
  a_.frozen = b_.frozen = true;
  const int checks = a_.checks;
  run_until([&] { return probe_.healthy == 0 && a_.checks >= checks + 3; });
  EXPECT_FALSE(answer->over);
}

TEST_F(GatewayRetryTest, AClientThatLeavesAfterTheLastEventHadAll) {
  a_.script = b_.script = {Act::kOpenStream, Act::kOpenStream};
  const std::vector<std::string> whole = {"data: {}\n\n", "data: [DONE]\n\n"};
  const std::vector<std::string> cut = {"data: {}\n\ndata: [DO", "NE]\n\n"};
  const std::vector<std::string> part = {"data: {}\n\n"};
  for (const auto& [pieces, status] :
       {std::pair(whole, 200), std::pair(cut, 200), std::pair(part, 499)}) {
    a_.script = {Act::kOpenStream};
    a_.pieces = pieces;
    start();
    const auto answer = begin();
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    run_until([&] { return answer->body == all; });
    answer->call->cancel();
    run_until([&] { return !probe_.finished.empty(); });
    EXPECT_EQ(probe_.finished.back().status, status);
    EXPECT_EQ(probe_.finished.back().complete, status == 200);
    EXPECT_EQ(probe_.in_flight, 0);
    stop();
  }
}

TEST_F(GatewayRetryTest, WhatPluginsAddGoesOutWithTheEndpointThatAnswered) {
  options_.pool.policy = "";
  options_.pool.config_name = "test.yaml";
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: session-affinity-scorer}, {type: max-score-picker}]\n"
      "schedulingProfiles:\n- name: default\n"
      "  plugins: [{pluginRef: session-affinity-scorer}, {pluginRef: max-score-picker}]\n";
  options_.pool.plugins.allow_alpha = true;
  a_.more_fields = b_.more_fields = "X-Session-Token: of-the-worker\r\n";
  start();
  const std::string token = complete().field("x-session-token");
  EXPECT_NE(token, "");
  EXPECT_NE(token, "of-the-worker");
  // The token holds the session on its worker; when that fails, the token is the next one's.
  FakeWorker& bound = a_.bodies.empty() ? b_ : a_;
  for (int i = 0; i < 4; ++i) {
    const auto answer = begin("{}", "x-session-token: " + token + "\r\n");
    run_until([&] { return answer->over; });
    EXPECT_EQ(answer->field("x-session-token"), token);
  }
  EXPECT_EQ(bound.bodies.size(), 5u);
  bound.script = {Act::kError};
  const auto elsewhere = begin("{}", "x-session-token: " + token + "\r\n");
  run_until([&] { return elsewhere->over; });
  EXPECT_EQ(elsewhere->head.status(), 200);
  EXPECT_NE(elsewhere->field("x-session-token"), token);
  EXPECT_NE(elsewhere->field("x-session-token"), "");
}

}  // namespace
}  // namespace kvasir
