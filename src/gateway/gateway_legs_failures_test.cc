// What becomes of a request with two legs when a worker fails, its client leaves, or it must go.
#include <algorithm>

#include "gateway/gateway_legs_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty;
using Act = FakeWorker::Act;
using Path = HandoffReport::Path;

// T5: what a prefiller answers, and what becomes of the request with two of them that fail alike.
TEST_F(GatewayLegsTest, APrefillerThatFailsIsFollowedByAnother) {
  for (const Act act : {Act::kError, Act::kCut, Act::kNoHttp}) {
    start_all();
    p_.script = q_.script = {act};
    const Answer answer = complete();
    EXPECT_NE(answer.head.status(), 200);
    EXPECT_EQ(p_.bodies.size() + q_.bodies.size(), 2u);
    EXPECT_EQ(probe_.retries, 1);
    EXPECT_THAT(a_.bodies, IsEmpty());
    EXPECT_THAT(b_.bodies, IsEmpty());
    EXPECT_EQ(probe_.legs.back().path, Path::kRefused);
    expect_quiet();
    // One alone fails.
    p_.script = q_.script = {};
    FakeWorker& next = p_;
    next.script = {act};
    for (int i = 0; i < 2; ++i) EXPECT_EQ(complete().head.status(), 200);
    expect_quiet();
    client_.reset();
    gateway_.reset();
    probe_.forget();
    for (FakeWorker* worker : {&p_, &q_, &a_, &b_}) worker->bodies.clear();
    for (FakeWorker* worker : {&p_, &q_, &a_, &b_}) worker->script.clear();
  }
}

TEST_F(GatewayLegsTest, ThePrefillersOwnErrorIsTheClientsWhenNobodyElseIsLeft) {
  serve({&p_}, {&a_});
  start_all();
  for (const int status : {400, 404, 429, 500, 502, 503, 504}) {
    p_.script = {Act::kError};
    p_.error_status = status;
    p_.error_fields = "Retry-After: 7\r\n";
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), status);
    EXPECT_EQ(answer.body, "error of p");
    EXPECT_EQ(answer.field("retry-after"), "7");
    EXPECT_EQ(answer.field("content-type"), "application/json");
    EXPECT_EQ(answer.field("x-request-id"), "id-7");
    EXPECT_EQ(answer.field("x-prefill-pod"), name_of(p_));
    expect_quiet();
  }
  EXPECT_THAT(a_.bodies, IsEmpty());
}

TEST_F(GatewayLegsTest, ARequestThatIsRefusedIsNotSentToAnotherPrefiller) {
  p_.error_status = q_.error_status = 400;
  p_.usually = q_.usually = Act::kError;
  start_all();
  EXPECT_EQ(complete().head.status(), 400);
  EXPECT_EQ(p_.bodies.size() + q_.bodies.size(), 1u);
}

TEST_F(GatewayLegsTest, APrefillerThatCannotBeReachedIsTold) {
  serve({&p_}, {&a_});
  start_all();
  p_.close();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_THAT(answer.body, HasSubstr("\"prefill_upstream_error\""));
  EXPECT_THAT(answer.body, HasSubstr(name_of(p_)));
  expect_quiet();
}

TEST_F(GatewayLegsTest, ByPolicyTheDecoderPrefillsAsWell) {
  serve({&p_}, {&a_});
  options_.handoff.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
  start_all();
  p_.script = {Act::kError};
  const std::string body = R"({"prompt":"p","kv_transfer_params":{"remote_host":"evil"}})";
  const Answer answer = complete(body);
  EXPECT_EQ(answer.body, "a");
  EXPECT_THAT(a_.bodies, ElementsAre(R"({"prompt":"p"})"));
  EXPECT_EQ(answer.field("x-prefill-pod"), "");
  EXPECT_EQ(answer.field("x-decode-pod"), name_of(a_));
  EXPECT_EQ(probe_.legs.back().path, Path::kLocal);
  EXPECT_EQ(probe_.finished.back().prefill, "");
  expect_quiet();
}

TEST_F(GatewayLegsTest, APrefillerThatIsTooSlowIsGivenUp) {
  serve({&p_}, {&a_});
  options_.handoff.prefill_deadline = milliseconds(20);
  start_all();
  p_.script = {Act::kHang};
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 504);
  EXPECT_THAT(answer.body, HasSubstr("\"prefill_upstream_timeout\""));
  run_until([&] { return p_.clients_gone == 1; });
  expect_quiet();
}

TEST_F(GatewayLegsTest, ASlowPrefillerIsHedged) {
  options_.handoff.hedge_after = milliseconds(10);
  start_all();
  p_.script = q_.script = {Act::kHang};
  // Whoever is asked first hangs; the other one hangs too, until a third request.
  const auto first = begin();
  run_until([&] { return p_.bodies.size() + q_.bodies.size() == 2; });
  EXPECT_EQ(booked(), 3u) << "both prefillers and the decoder";
  first->call->cancel();
  run_until([&] { return p_.clients_gone + q_.clients_gone == 2; });
  expect_quiet();
  p_.script = {Act::kHang};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(complete().head.status(), 200);
  EXPECT_TRUE(std::any_of(probe_.legs.begin(), probe_.legs.end(), [](const auto& legs) {
    return legs.hedged && legs.path == Path::kTwoLegs;
  }));
  expect_quiet();
}

TEST_F(GatewayLegsTest, WhenItsPrefillerBecomesUnhealthyAnotherIsAsked) {
  start_all();
  p_.script = q_.script = {Act::kHang};
  const auto answer = begin();
  run_until([&] { return p_.bodies.size() + q_.bodies.size() == 1; });
  FakeWorker& asked = p_.bodies.empty() ? q_ : p_;
  FakeWorker& other = p_.bodies.empty() ? p_ : q_;
  other.script.clear();
  asked.healthy = false;
  run_until([&] { return answer->over; });
  EXPECT_EQ(answer->head.status(), 200);
  EXPECT_EQ(answer->field("x-prefill-pod"), name_of(other));
  run_until([&] { return asked.clients_gone == 1; });
  expect_quiet();
}

TEST_F(GatewayLegsTest, ADecoderThatNobodyCanReplaceIsWaitedFor) {
  serve({&p_}, {&a_});
  start_all();
  a_.script = {Act::kHang};
  const auto answer = begin();
  run_until([&] { return a_.bodies.size() == 1; });
  a_.healthy = false;
  run_until([&] { return probe_.healthy == 1; });
  const int checks = a_.checks;
  run_until([&] { return a_.checks > checks + 2; });
  EXPECT_FALSE(answer->over) << "the prefiller is healthy, and no decoder";
  EXPECT_EQ(a_.clients_gone, 0);
  answer->call->cancel();
  run_until([&] { return probe_.finished.size() == 1; });
  expect_quiet();
}

// Whoever had the leg may have fetched what was handed over, and a vLLM that fetches again reads
// what stands in those blocks by now: another prompt's KV, with status 200.
TEST_F(GatewayLegsTest, WhatADecoderHasHadGoesToNoOther) {
  for (const Act act : {Act::kError, Act::kCut, Act::kCutAfterHead}) {
    start_all();
    a_.script = b_.script = {act};
    const Answer failed = complete();
    EXPECT_GE(failed.head.status(), 500);
    EXPECT_EQ(p_.bodies.size() + q_.bodies.size(), 1u) << "a prefill is paid for once";
    EXPECT_EQ(a_.bodies.size() + b_.bodies.size(), 1u);
    expect_quiet();
    client_.reset();
    gateway_.reset();
    probe_.forget();
    for (FakeWorker* worker : {&p_, &q_, &a_, &b_}) worker->bodies.clear();
    a_.script.clear(), b_.script.clear();
  }
}

TEST_F(GatewayLegsTest, ADecoderThatBecomesUnhealthyIsWaitedFor) {
  serve({&p_}, {&a_, &b_});
  start_all();
  a_.script = b_.script = {Act::kHang};
  const auto answer = begin();
  run_until([&] { return a_.bodies.size() + b_.bodies.size() == 1; });
  FakeWorker& asked = a_.bodies.empty() ? b_ : a_;
  asked.healthy = false;
  run_until([&] { return probe_.healthy == 2; });
  const int checks = asked.checks;
  run_until([&] { return asked.checks > checks + 2; });
  EXPECT_FALSE(answer->over);
  EXPECT_EQ(a_.bodies.size() + b_.bodies.size(), 1u);
  answer->call->cancel();
  run_until([&] { return probe_.finished.size() == 1; });
}

TEST_F(GatewayLegsTest, ADecoderThatCannotBeReachedIsReplaced) {
  start_all();
  a_.close();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().head.status(), 200);
  EXPECT_EQ(p_.bodies.size() + q_.bodies.size(), 4u) << "a prefill is paid for once";
  EXPECT_EQ(b_.bodies.size(), 4u);
  for (const std::string& body : b_.bodies) EXPECT_THAT(body, HasSubstr(kHandedOver));
  expect_quiet();
}

// In a store it stays for everybody.
TEST_F(GatewayLegsTest, WhatIsInAStoreAnotherDecoderReads) {
  options_.handoff.dialect = KvDialect::kLmcache;
  start_all();
  for (int i = 0; i < 2; ++i) {
    a_.script = {Act::kCut};
    EXPECT_EQ(complete().head.status(), 200);
  }
  EXPECT_EQ(p_.bodies.size() + q_.bodies.size(), 2u);
  EXPECT_EQ(b_.bodies.size() + a_.bodies.size(), 3u);
}

TEST_F(GatewayLegsTest, ADecoderThatDiesMidStreamEndsTheAnswerWithoutAnEnd) {
  serve({&p_}, {&a_});
  start_all();
  a_.script = {Act::kCutMidStream};
  const Answer answer = complete();
  EXPECT_TRUE(answer.failure);
  EXPECT_EQ(answer.body, "data: a\n\n");
  expect_quiet();
}

// T8.
TEST_F(GatewayLegsTest, AClientThatLeavesDuringThePrefillEndsIt) {
  serve({&p_}, {&a_});
  start_all();
  p_.script = {Act::kHang};
  const auto answer = begin();
  run_until([&] { return p_.bodies.size() == 1; });
  EXPECT_EQ(booked(), 2u);
  answer->call->cancel();
  run_until([&] { return p_.clients_gone == 1; });
  run_until([&] { return !probe_.finished.empty(); });
  EXPECT_EQ(probe_.finished.back().status, 499);
  EXPECT_THAT(a_.bodies, IsEmpty());
  expect_quiet();
}

TEST_F(GatewayLegsTest, WhatWasHandedOverIsFetchedWhenTheClientLeft) {
  serve({&p_}, {&a_});
  start_all();
  a_.script = {Act::kHang};
  const auto answer = begin(R"({"prompt":"p","stream":true,"max_tokens":900})");
  run_until([&] { return a_.bodies.size() == 1; });
  EXPECT_EQ(booked(), 1u) << "the prefiller has ended";
  answer->call->cancel();
  run_until([&] { return a_.bodies.size() == 2; });
  EXPECT_THAT(a_.bodies[1], HasSubstr("\"kv_transfer_params\":" + std::string(kHandedOver)));
  EXPECT_THAT(a_.bodies[1], HasSubstr(R"("max_tokens":1)"));
  EXPECT_EQ(a_.request_ids[1], a_.request_ids[0]);
  run_until([&] { return probe_.legs.size() == 1; });
  EXPECT_TRUE(probe_.legs[0].released);
  expect_quiet();
}

TEST_F(GatewayLegsTest, AClientThatLeavesMidStreamEndsTheDecoder) {
  serve({&p_}, {&a_});
  start_all();
  a_.script = {Act::kOpenStream};
  a_.pieces = {"data: 1\n\n"};
  const auto answer = begin();
  run_until([&] { return !answer->body.empty(); });
  answer->call->cancel();
  run_until([&] { return a_.clients_gone == 1; });
  run_until([&] { return !probe_.finished.empty(); });
  EXPECT_EQ(a_.bodies.size(), 1u) << "it was fetched";
  expect_quiet();
}

TEST_F(GatewayLegsTest, APromptThatKillsPrefillersIsNotSentToMore) {
  FakeWorker r(*loop_, "r");
  serve({&p_, &q_, &r}, {&a_});
  start_all();
  p_.script = q_.script = r.script = {Act::kCut};
  EXPECT_EQ(complete().head.status(), 502);
  EXPECT_EQ(p_.bodies.size() + q_.bodies.size() + r.bodies.size(), 2u);
  EXPECT_THAT(probe_.poison, ElementsAre("id-7"));
  expect_quiet();
}

// With flow control: one request fits on each worker.
class GatewayLegsFlowTest : public GatewayLegsTest {
 protected:
  GatewayLegsFlowTest() {
    serve({&p_}, {&a_});
    options_.pool.plugins.allow_alpha = true;
    options_.pool.config +=
        "featureGates: [flowControl]\n"
        "flowControl: {saturationDetector: {pluginRef: concurrency-detector}, "
        "enableEviction: true}\n";
    options_.pool.config.insert(
        options_.pool.config.find("- type: prefill-filter"),
        "- {type: concurrency-detector, parameters: {maxConcurrency: 1}}\n");
    options_.pool.priorities = {-1, 10};
    options_.pool.priority_of = [](std::string_view objective) -> std::optional<int32_t> {
      return objective == "batch" ? -1 : 10;
    };
  }
  std::unique_ptr<Answer> come(const std::string& objective) {
    return begin(R"({"prompt":"x","stream":true})",
                 "X-LLM-D-Inference-Objective: " + objective + "\r\n");
  }
};

TEST_F(GatewayLegsFlowTest, ARequestThatMustGoWhileItIsPrefilledGoes) {
  p_.script = {Act::kHang};
  start_all();
  const auto batch = come("batch");
  run_until([&] { return p_.bodies.size() == 1; });
  const auto premium = come("premium");
  run_until([&] { return batch->over && premium->over; });
  EXPECT_EQ(batch->head.status(), 429);
  EXPECT_EQ(premium->head.status(), 200);
  run_until([&] { return p_.clients_gone == 1; });
  EXPECT_EQ(a_.bodies.size(), 1u) << "only the other one is decoded";
  expect_quiet();
}

TEST_F(GatewayLegsFlowTest, WhatWasHandedOverForOneThatMustGoIsFetched) {
  a_.script = {Act::kHang};
  start_all();
  const auto batch = come("batch");
  run_until([&] { return a_.bodies.size() == 1; });
  const auto premium = come("premium");
  run_until([&] { return batch->over && premium->over; });
  EXPECT_EQ(batch->head.status(), 429);
  EXPECT_EQ(premium->head.status(), 200);
  run_until([&] { return a_.bodies.size() == 3; });
  EXPECT_EQ(std::count_if(a_.bodies.begin(), a_.bodies.end(),
                          [](const std::string& body) {
                            return body.find(R"("max_tokens":1)") != std::string::npos;
                          }),
            1);
  expect_quiet();
}

}  // namespace
}  // namespace kvasir
