// Workers that answer 429: load, and no fault.
#include "gateway/gateway_retry_fixture.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::IsEmpty;

using Act = FakeWorker::Act;

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

}  // namespace
}  // namespace kvasir
