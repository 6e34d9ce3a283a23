// Prefill here, decode there, both carried by the gateway. T1 to T8 are the vectors of the sidecar,
// in the dialect nixlv2 of vLLM 0.32.0.
#include "gateway/gateway_legs_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty, ::testing::Not;
using Act = FakeWorker::Act;
using Path = HandoffReport::Path;

constexpr std::string_view kSixKeys =
    R"("kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false,)"
    R"("remote_engine_id":null,"remote_block_ids":null,"remote_host":null,"remote_port":null})";

// T1.
TEST_F(GatewayLegsTest, ThePromptIsPrefilledInOnePlaceAndTheAnswerComesFromAnother) {
  serve({&p_}, {&a_});
  a_.usually = Act::kStream;
  start_all();
  const std::string body =
      R"({"prompt":"p","stream":true,"stream_options":{"include_usage":true}})";
  const Answer answer = complete(body);
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_EQ(answer.body, "data: a\n\ndata: [DONE]\n\n");
  ASSERT_EQ(p_.bodies.size(), 1u);
  EXPECT_THAT(p_.bodies[0], HasSubstr(kSixKeys));
  EXPECT_THAT(p_.bodies[0], HasSubstr(R"("stream":false)"));
  EXPECT_THAT(p_.bodies[0], HasSubstr(R"("max_tokens":1)"));
  EXPECT_THAT(p_.bodies[0], HasSubstr(R"("max_completion_tokens":1)"));
  EXPECT_THAT(p_.bodies[0], Not(HasSubstr("stream_options")));
  EXPECT_THAT(a_.bodies, ElementsAre(body.substr(0, body.size() - 1) +
                                     ",\"kv_transfer_params\":" + std::string(kHandedOver) + "}"));
  EXPECT_EQ(p_.request_ids, a_.request_ids) << "both legs are of one request";
  EXPECT_EQ(answer.field("x-prefill-pod"), name_of(p_));
  EXPECT_EQ(answer.field("x-decode-pod"), name_of(a_));
  EXPECT_EQ(answer.field("x-selected-pod"), name_of(a_));
  EXPECT_GT(std::stod(answer.field("x-prefill-time-ms")), 0);
  EXPECT_THAT(answer.field("server-timing"), HasSubstr("prefill;dur="));
  EXPECT_THAT(answer.field("server-timing"), HasSubstr("decode-first-byte;dur="));
  EXPECT_EQ(probe_.finished.back().prefill, name_of(p_));
  ASSERT_EQ(probe_.legs.size(), 1u);
  EXPECT_EQ(probe_.legs[0].path, Path::kTwoLegs);
  expect_quiet();
}

// T2.
TEST_F(GatewayLegsTest, WhatNobodyNeedsToChangeReachesBothAsItWasSent) {
  serve({&p_}, {&a_});
  start_all();
  complete(R"({"seed": 9007199254740993, "zz":[1.0,{"b":"<b>\u00e9"}], "prompt":"p"})");
  for (const FakeWorker* worker : {&p_, &a_}) {
    EXPECT_THAT(
        worker->bodies[0],
        HasSubstr(R"({"seed": 9007199254740993, "zz":[1.0,{"b":"<b>\u00e9"}], "prompt":"p")"));
  }
}

// T3: nothing is to be prefilled apart.
TEST_F(GatewayLegsTest, WithoutAPrefillerInTheDecisionNobodyIsAskedToPrefill) {
  serve({&p_}, {&a_});
  const std::string decider = "always-disagg-pd-decider";
  std::string& config = options_.pool.config;
  for (size_t at; (at = config.find(decider)) != std::string::npos;) {
    config.replace(at, decider.size(), "prefix-based-pd-decider");
  }
  start_all();
  const std::string body = R"({"prompt" : "p", "seed":9007199254740993})";
  const Answer answer = complete(body);
  EXPECT_THAT(a_.bodies, ElementsAre(body));
  EXPECT_THAT(p_.bodies, IsEmpty());
  EXPECT_EQ(answer.field("x-decode-pod"), "");
  EXPECT_EQ(answer.field("x-selected-pod"), name_of(a_));
  complete(R"({"prompt":"p","kv_transfer_params":{"remote_host":"evil"}})");
  EXPECT_EQ(a_.bodies.back(), R"({"prompt":"p"})");
  EXPECT_THAT(probe_.legs, IsEmpty());
  expect_quiet();
}

// T7.
TEST_F(GatewayLegsTest, ThePrefillLegIsOneTokenWhateverTheClientWants) {
  serve({&p_}, {&a_});
  start_all();
  const auto post = [this](const std::string& path, const std::string& body) {
    EXPECT_EQ(call("POST " + path + " HTTP/1.1\r\nHost: g\r\nContent-Length: " +
                       std::to_string(body.size()) + "\r\n\r\n",
                   body)
                  .head.status(),
              200);
    EXPECT_THAT(a_.bodies.back(), HasSubstr(body.substr(1, body.size() - 2))) << "as it was sent";
    return p_.bodies.back();
  };
  const std::string completion =
      post("/v1/completions", R"({"min_tokens":5,"n":2,"best_of":3,"prompt":"p"})");
  EXPECT_THAT(completion, HasSubstr(R"("min_tokens":1)"));
  EXPECT_THAT(completion, HasSubstr(R"("n":1)"));
  EXPECT_THAT(completion, Not(HasSubstr("best_of")));
  EXPECT_THAT(post("/v1/chat/completions", R"({"max_completion_tokens":900,"messages":[]})"),
              HasSubstr(R"("max_completion_tokens":1)"));
  EXPECT_THAT(post("/v1/responses", R"({"max_output_tokens":900,"input":"p"})"),
              HasSubstr(R"("max_output_tokens":1)"));
  const std::string generate =
      R"({"token_ids":[1,2],"sampling_params":{"max_tokens":900,"min_tokens":5}})";
  call("POST /inference/v1/generate HTTP/1.1\r\nHost: g\r\nContent-Length: " +
           std::to_string(generate.size()) + "\r\n\r\n",
       generate);
  EXPECT_THAT(p_.bodies.back(), HasSubstr(R"("max_tokens":1,"min_tokens":1)"));
  EXPECT_THAT(a_.bodies.back(), HasSubstr(R"("max_tokens":900,"min_tokens":5)"));
  EXPECT_THAT(a_.bodies.back(),
              HasSubstr("\"extra_args\":{\"kv_transfer_params\":" + std::string(kHandedOver)));
}

// T5 and T6: answers of 200 that hand over nothing, or what no decoder can use.
TEST_F(GatewayLegsTest, AHandoffIsCheckedBeforeADecoderSeesIt) {
  serve({&p_}, {&a_});
  start_all();
  for (const char* answer :
       {"no json", R"({"kv_transfer_params":7})",
        R"({"kv_transfer_params":{"remote_block_ids":[[1]],"remote_port":0}})"}) {
    p_.says = answer;
    const Answer refused = complete();
    EXPECT_EQ(refused.head.status(), 502) << answer;
    EXPECT_THAT(refused.body, HasSubstr("\"invalid_prefill_handoff\"")) << answer;
    EXPECT_EQ(probe_.legs.back().refused, "invalid_prefill_handoff");
    expect_quiet();
  }
  EXPECT_THAT(a_.bodies, IsEmpty());
  for (const char* answer : {"{}", R"({"kv_transfer_params":null})"}) {
    p_.says = answer;
    EXPECT_EQ(complete().body, "a") << answer;
    EXPECT_EQ(probe_.legs.back().path, Path::kNoHandoff);
    expect_quiet();
  }
  EXPECT_THAT(a_.bodies[0], Not(HasSubstr("kv_transfer_params")));
}

TEST_F(GatewayLegsTest, APrefillerThatHandsNothingOverCanBeAnError) {
  serve({&p_}, {&a_});
  options_.handoff.on_no_handoff = HandoffOptions::OnNoHandoff::kError;
  start_all();
  p_.says = "{}";
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_THAT(answer.body, HasSubstr("\"invalid_prefill_handoff\""));
  expect_quiet();
}

// T6.
TEST_F(GatewayLegsTest, WhatIsHandedOverReachesTheDecoderAsItStands) {
  serve({&p_}, {&a_});
  start_all();
  for (const char* blocks : {"[1,2]", "[[1],[2,3]]", "[ [18446744073709551615] ]"}) {
    const std::string params = std::string(R"({"remote_block_ids": )") + blocks +
                               R"(,"remote_engine_id":"e","remote_host":"h","remote_port":1,)"
                               R"("do_remote_prefill":true,"remote_request_id":"r","new":1.50})";
    p_.says = prefill_answer(params);
    EXPECT_EQ(complete().body, "a");
    EXPECT_THAT(a_.bodies.back(), HasSubstr("\"kv_transfer_params\":" + params));
  }
}

TEST_F(GatewayLegsTest, HeadersForSidecarsStayBehindAndTheWorkersOwnAreReplaced) {
  serve({&p_}, {&a_});
  a_.more_fields = "x-prefill-pod: elsewhere\r\nServer-Timing: total;dur=1\r\n";
  start_all();
  const std::string body = R"({"prompt":"p"})";
  const Answer answer = call(
      "POST /v1/completions HTTP/1.1\r\nHost: g\r\nx-prefiller-host-port: evil:1\r\nx-mine: 1\r\n"
      "Content-Length: " +
          std::to_string(body.size()) + "\r\n\r\n",
      body);
  EXPECT_EQ(answer.field("x-prefill-pod"), name_of(p_));
  for (const FakeWorker* worker : {&p_, &a_}) {
    EXPECT_FALSE(worker->heads[0].find("x-prefiller-host-port"));
    EXPECT_EQ(worker->heads[0].find("x-mine"), "1");
  }
}

TEST_F(GatewayLegsTest, ASidecarIsToldWhoPrefills) {
  serve({&p_}, {&a_});
  options_.sidecars_prefill = true;
  a_.more_fields = "x-prefill-pod: the sidecar knows\r\n";
  start_all();
  const std::string body = R"({"prompt" : "p"})";
  const Answer answer = call(
      "POST /v1/completions HTTP/1.1\r\nHost: g\r\nX-Prefiller-Host-Port: evil:1\r\n"
      "Content-Length: " +
          std::to_string(body.size()) + "\r\n\r\n",
      body);
  EXPECT_EQ(answer.body, "a");
  EXPECT_THAT(p_.bodies, IsEmpty());
  EXPECT_THAT(a_.bodies, ElementsAre(body));
  EXPECT_EQ(a_.heads[0].find("x-prefiller-host-port"), name_of(p_));
  EXPECT_EQ(answer.field("x-prefill-pod"), "the sidecar knows");
  expect_quiet();
}

TEST_F(GatewayLegsTest, WhatHasNoTwoLegsGoesToADecoderAsItCame) {
  serve({&p_}, {&a_});
  start_all();
  const std::string body = R"({"input":"x"})";
  const Answer answer = call("POST /v1/embeddings HTTP/1.1\r\nHost: g\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n",
                             body);
  EXPECT_EQ(answer.body, "a");
  EXPECT_THAT(a_.bodies, ElementsAre(body));
  EXPECT_THAT(p_.bodies, IsEmpty());
  EXPECT_THAT(probe_.legs, IsEmpty());
  expect_quiet();
}

// The decoder is not asked first: to find out whether it has the prompt is the scheduler's business.
TEST_F(GatewayLegsTest, WithASharedStoreThePromptIsPrefilledFirst) {
  serve({&p_}, {&a_});
  options_.handoff.dialect = KvDialect::kSharedStorage;
  start_all();
  EXPECT_EQ(complete(R"({"prompt":"x","cache_hit_threshold":0.8})").body, "a");
  EXPECT_THAT(p_.bodies, ElementsAre(HasSubstr(R"("cache_hit_threshold":0)")));
  EXPECT_THAT(a_.bodies, ElementsAre(HasSubstr(R"("cache_hit_threshold":0)")));
  expect_quiet();
}

// T10 and the like: both legs at once.
TEST_F(GatewayLegsTest, ConcurrentDialectsSendBothLegsAtOnce) {
  serve({&p_}, {&a_});
  options_.handoff.dialect = KvDialect::kSglang;
  start_all();
  p_.script = a_.script = {Act::kHang};
  const auto answer = begin();
  run_until([&] { return p_.bodies.size() == 1 && a_.bodies.size() == 1; });
  EXPECT_THAT(p_.bodies[0], HasSubstr("\"bootstrap_room\":"));
  EXPECT_EQ(p_.bodies[0], a_.bodies[0]);
  EXPECT_EQ(booked(), 2u);
  answer->call->cancel();
  run_until([&] { return p_.clients_gone == 1 && a_.clients_gone == 1; });
  expect_quiet();
  EXPECT_EQ(complete().body, "a");
  p_.script = {Act::kError};
  a_.script = {Act::kHang};
  const Answer failed = complete();
  EXPECT_EQ(failed.body, "error of p") << "the decoder would wait for ever";
  run_until([&] { return a_.clients_gone == 2; });
  expect_quiet();
}

}  // namespace
}  // namespace kvasir
