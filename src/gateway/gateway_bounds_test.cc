// What a request's headers bound of what the gateway does for it.
#include "gateway/gateway_retry_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

using Act = FakeWorker::Act;

class GatewayBoundsTest : public GatewayRetryTest {
 protected:
  std::unique_ptr<Answer> asked(const std::string& fields) {
    auto answer = begin("{\"prompt\":\"x\",\"stream\":true}", fields);
    run_until([&] { return answer->over; });
    return answer;
  }
};

TEST_F(GatewayBoundsTest, NoRetriesMeansTheFirstAnswerWhateverItIs) {
  a_.script = {Act::kError};
  start();
  EXPECT_EQ(asked("x-max-retries: 0\r\n")->body, "error of a");
  EXPECT_EQ(probe_.retries, 0);
  a_.script = b_.script = {Act::kError};
  EXPECT_EQ(asked("x-max-retries: 1\r\n")->head.status(), 500) << "both were asked";
  EXPECT_EQ(probe_.retries, 1);
}

TEST_F(GatewayBoundsTest, NeitherHeaderReachesAWorker) {
  start();
  asked("x-max-retries: 1\r\nX-Request-Timeout: 5s\r\nx_max_retries: 4\r\nx-other: 1\r\n");
  ASSERT_EQ(a_.heads.size(), 1u);
  EXPECT_FALSE(a_.heads[0].find("x-max-retries"));
  EXPECT_FALSE(a_.heads[0].find("x_max_retries"));
  EXPECT_FALSE(a_.heads[0].find("x-request-timeout"));
  EXPECT_TRUE(a_.heads[0].find("x-other"));
}

TEST_F(GatewayBoundsTest, WhatCannotBeReadIsRefusedAndReachesNobody) {
  start();
  EXPECT_EQ(asked("x-max-retries: many\r\n")->head.status(), 400);
  const auto answer = asked("x-request-timeout: soon\r\n");
  EXPECT_EQ(answer->head.status(), 400);
  EXPECT_THAT(answer->body, HasSubstr("as in 30, 30s or 500ms"));
  EXPECT_TRUE(a_.bodies.empty() && b_.bodies.empty());
}

TEST_F(GatewayBoundsTest, ARequestWhoseTimeIsOverGets504AndItsWorkerIsFree) {
  a_.script = {Act::kHang};
  start();
  const auto answer = asked("x-request-timeout: 20ms\r\n");
  EXPECT_EQ(answer->head.status(), 504);
  EXPECT_EQ(answer->field("x-selected-pod"), name_of(a_));
  EXPECT_THAT(answer->body, HasSubstr("within 20 ms"));
  EXPECT_EQ(probe_.finished.back().status, 504);
  EXPECT_EQ(probe_.in_flight, 0);
  run_until([&] { return a_.clients_gone == 1; });
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayBoundsTest, TheFlagHoldsWithoutAHeaderAndIsTheMost) {
  options_.request_timeout = milliseconds(20);
  a_.script = b_.script = {Act::kHang};
  start();
  EXPECT_EQ(asked("")->head.status(), 504);
  EXPECT_EQ(asked("x-request-timeout: 1h\r\n")->head.status(), 504);
}

TEST_F(GatewayBoundsTest, AnAnswerThatHasBegunIsCut) {
  a_.pieces = {"data: 1\n\n"};
  a_.script = {Act::kOpenStream};
  start();
  const auto answer = asked("x-request-timeout: 20ms\r\n");
  EXPECT_EQ(answer->head.status(), 200);
  EXPECT_TRUE(answer->failure.has_value());
  EXPECT_FALSE(probe_.finished.back().complete);
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayBoundsTest, ARetryDoesNotBeginTheTimeAnew) {
  a_.script = {Act::kError};
  b_.script = {Act::kHang};
  start();
  const auto answer = asked("x-request-timeout: 30ms\r\n");
  EXPECT_EQ(answer->head.status(), 504);
  EXPECT_THAT(answer->body, HasSubstr("it answered 500"));
}

TEST_F(GatewayBoundsTest, AnAnswerInTimeIsWhole) {
  start();
  EXPECT_EQ(asked("x-request-timeout: 1m\r\n")->body, "a");
}

}  // namespace
}  // namespace kvasir
