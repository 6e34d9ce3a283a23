// What the gateway does when workers fail: whom it tries next, and whom it blames.
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "gateway/gateway_retry_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Act = FakeWorker::Act;

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

TEST_F(GatewayRetryTest, ARequestThatItsWorkerClosesForGoesToOneMoreAndIsToldOnce) {
  FakeWorker c(*loop_, "c");
  options_.pool.feeds.endpoints.push_back(worker_at(c.port()));
  a_.script = b_.script = c.script = {Act::kCut};
  start(3);
  EXPECT_EQ(complete().head.status(), 502);
  EXPECT_EQ(a_.bodies.size() + b_.bodies.size() + c.bodies.size(), 2u);
  EXPECT_THAT(probe_.poison, ElementsAre("id-7"));
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

// Takes no connection and refuses none: its queue is full, and nobody empties it.
class Hole {
 public:
  Hole() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any);
    ::listen(listener_.get(), 0);
    const SocketAddress address = resolve("127.0.0.1", port()).value();
    for (Descriptor& one : waiting_) one = start_connect(address).socket;
  }
  uint16_t port() const { return local_port(listener_); }

 private:
  Descriptor listener_;
  Descriptor waiting_[3];
};

TEST_F(GatewayRetryTest, WhereNobodyTakesConnectionsARequestWaitsForOneOfThem) {
  Hole holes[4];
  options_.pool.feeds.endpoints.clear();
  for (const Hole& hole : holes) {
    options_.pool.feeds.endpoints.push_back(worker_at(hole.port()));
  }
  options_.client.connect_timeout = std::chrono::milliseconds(60);
  options_.late_connect_timeout = std::chrono::milliseconds(20);
  start(0);
  for (uint32_t slot = 0; slot < 4; ++slot) {  // as their checks do not say yet
    gateway_->pool().fleet().set_healthy(EndpointId{slot}, true);
  }
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_EQ(probe_.retries, 1);
  EXPECT_THAT(answer.body, HasSubstr("no connection within 60 ms; "));
  EXPECT_THAT(answer.body, HasSubstr("no connection within 20 ms"));
}

}  // namespace
}  // namespace kvasir
