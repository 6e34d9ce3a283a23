// What clients and operators are told of how a request ended.
#include <fstream>

#include "gateway/gateway_retry_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using Act = FakeWorker::Act;

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

TEST_F(GatewayRetryTest, WhatTheGatewayLeavesUnfinishedIsTold) {
  a_.script = {Act::kOpenStream};
  a_.pieces = {"data: {}\n\n"};
  b_.script = {Act::kHang};
  start();
  const auto begun = begin("{\"prompt\":\"x\"}", "x-request-id: id-1\r\n");
  run_until([&] { return !begun->body.empty(); });
  const auto waiting = begin("{\"prompt\":\"x\"}", "x-request-id: id-2\r\n");
  run_until([&] { return !b_.bodies.empty(); });
  EXPECT_THAT(probe_.bad_answers, IsEmpty());
  gateway_.reset();
  const std::string why = ": the gateway stopped before the answer was complete";
  EXPECT_THAT(probe_.bad_answers, UnorderedElementsAre("cut 200 id-1 " + name_of(a_) + why,
                                                       "0 id-2 " + name_of(b_) + why));
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
