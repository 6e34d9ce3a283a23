// The vectors T1 to T11 of what sidecars and workers say to each other, at the sidecar's two
// upstream sides. Each names the dialect that it speaks, as --kv-connector does, and its
// generation.
#include "sidecar/sidecar_fixture.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {
namespace {

using ::testing::AllOf, ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty,
    ::testing::Not, ::testing::StartsWith;
using Path = HandoffReport::Path;

constexpr std::string_view kNixlParams =
    R"("kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false,)"
    R"("remote_engine_id":null,"remote_block_ids":null,"remote_host":null,"remote_port":null})";

class SidecarVectors : public SidecarTest {
 protected:
  Recorder post(std::string_view path, std::string_view body) {
    return ask("POST", path, prefill_at(prefiller_.address()), body);
  }
  static std::string prefill_at(std::string_view workers) {
    return "x-prefiller-host-port: " + std::string(workers) + "\r\n";
  }
  // What a prefill worker hands over, as it stands.
  static std::string handed_over(std::string_view answer) {
    return std::string(answer.substr(1, answer.size() - 2));
  }
};

// T1, nixlv2 (connector version 2 and later: remote_request_id).
TEST_F(SidecarVectors, T1AStreamedChatHasItsPromptPrefilledAndItsStreamDecoded) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = true;
  decoder_.answer = kEvents;
  const Recorder answer =
      post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"c"}],"stream":true,)"
                                   R"("stream_options":{"include_usage":true}})");
  EXPECT_EQ(answer.body, kEvents);
  EXPECT_EQ(prefiller_.body, R"({"messages":[{"role":"user","content":"c"}],"stream":false,)"
                             R"("max_tokens":1,"max_completion_tokens":1,"min_tokens":1,)" +
                                 std::string(kNixlParams) + "}");
  EXPECT_EQ(decoder_.body, R"({"messages":[{"role":"user","content":"c"}],"stream":true,)"
                           R"("stream_options":{"include_usage":true},)" +
                               handed_over(kAnswer) + "}")
      << "no max_tokens, and the handoff byte for byte";
  EXPECT_EQ(prefiller_.fields.count("x-request-id"), 1u);
  EXPECT_EQ(prefiller_.fields.find("x-request-id")->second,
            decoder_.fields.find("x-request-id")->second);
}

// T2, nixlv2.
TEST_F(SidecarVectors, T2BytesThatNobodyTouchesStay) {
  start();
  prefiller_.answer = kAnswer;
  const std::string odd =
      R"( "z" : 1.0 , "seed": 9007199254740993,"prompt":"<b>&\u00e9\/","a":[1e400,-0],"z2":{"k":1,"k":2})";
  post("/v1/completions", "{" + odd + "}");
  EXPECT_THAT(prefiller_.body, StartsWith("{" + odd + ","));
  EXPECT_EQ(decoder_.body, "{" + odd + "," + handed_over(kAnswer) + "}");
}

// T3, any dialect.
TEST_F(SidecarVectors, T3WithoutAPrefillerTheBodyIsUntouchedButForWhatAClientMayNotSay) {
  start();
  const std::string body = R"({ "prompt" : "p" ,"max_tokens":7 })";
  for (const char* field : {"", "x-prefiller-host-port:\r\n", "x-prefiller-host-port:   \r\n"}) {
    EXPECT_EQ(ask("POST", "/v1/completions", field, body).status, 200);
    EXPECT_EQ(decoder_.body, body) << field;
    ask("POST", "/v1/completions", field,
        R"({"kv_transfer_params":{"remote_host":"evil"},"prompt":"p"})");
    EXPECT_EQ(decoder_.body, R"({"prompt":"p"})") << field;
  }
  EXPECT_EQ(prefiller_.requests, 0);
}

// T3 on paths that have no second leg: what reaches an engine there is read in the same way.
TEST_F(SidecarVectors, T3WhatAClientMayNotSayGoesOnEveryPath) {
  start();
  for (const char* path : {"/v1/chat/completions/batch", "/invocations", "/v1/embeddings"}) {
    const auto send = [&](std::string_view body, std::string_view type = "application/json") {
      return ask("POST", path, "Content-Type: " + std::string(type) + "\r\n", body).status;
    };
    EXPECT_EQ(send(R"({"messages":[],"kv_transfer_params":{"remote_host":"evil"},"n":1})"), 200);
    EXPECT_EQ(decoder_.body, R"({"messages":[],"n":1})") << path;
    EXPECT_EQ(send(R"({"sampling_params":{"extra_args":{"kv_transfer_params":{}}}})"), 200);
    EXPECT_THAT(decoder_.body, Not(HasSubstr("kv_transfer_params"))) << path;
    const std::string plain = R"({ "input" : ["kv_transfer_params"] })";
    EXPECT_EQ(send(plain), 200);
    EXPECT_EQ(decoder_.body, plain) << "nothing is removed, and nothing else changes";
    const std::string utf16("{\0\"\0k\0v\0", 8);
    EXPECT_EQ(send(utf16), 400) << "which an engine would read";
    EXPECT_EQ(send("\xef\xbb\xbf{}"), 400);
    EXPECT_EQ(send(R"({"a":1)"), 400);
    EXPECT_EQ(send(utf16, "multipart/form-data; boundary=x"), 200);
    EXPECT_EQ(decoder_.body, utf16);
  }
}

// T4, nixlv2: which candidates there are, in which order.
TEST_F(SidecarVectors, T4CandidatesStandInOneLineOrInSeveral) {
  start();
  prefiller_.answer = kAnswer;
  const std::string there = prefiller_.address(), nobody = free_address();
  const std::string body = R"({"prompt":"p"})";
  for (const std::string& fields :
       {prefill_at(there + ",b:1"), prefill_at(there) + prefill_at("b:1"),
        prefill_at("http://" + there), prefill_at(nobody + ", " + there),
        prefill_at(nobody) + prefill_at(there), prefill_at(" " + there + " ,")}) {
    const int before = prefiller_.requests;
    EXPECT_EQ(ask("POST", "/v1/completions", fields, body).status, 200) << fields;
    EXPECT_EQ(prefiller_.requests, before + 1) << fields;
    EXPECT_EQ(told_.prefiller, there) << fields;
  }
  const int legs = told_.prefill_legs;
  EXPECT_EQ(ask("POST", "/v1/completions", prefill_at("https://" + there), body).status, 400)
      << "llm-d's would ask a host named https";
  EXPECT_EQ(told_.prefill_legs, legs);
}

// [::1]:1 is an address; nobody listens there.
TEST_F(SidecarVectors, T4AnIpv6AddressIsACandidate) {
  start();
  const Recorder answer =
      ask("POST", "/v1/completions", prefill_at("[::1]:1"), R"({"prompt":"p"})");
  EXPECT_EQ(answer.status, 502);
  EXPECT_THAT(answer.body, HasSubstr("[::1]:1"));
}

TEST_F(SidecarVectors, T4WithSamplingEachCandidateIsTheFirstNowAndThen) {
  options_.samples_prefillers = true;
  LegWorkerFixture other(*loop_);
  other.answer = kAnswer;
  start();
  prefiller_.answer = kAnswer;
  for (int i = 0; i < 64; ++i) {
    ask("POST", "/v1/completions", prefill_at(prefiller_.address() + "," + other.address()),
        R"({"prompt":"p"})");
  }
  EXPECT_GT(prefiller_.requests, 8);
  EXPECT_GT(other.requests, 8);
  EXPECT_EQ(prefiller_.requests + other.requests, 64) << "one for each";
}

// T5, nixlv2. Where llm-d's versions differ among themselves (400, fallback, retry), the policy is
// explicit here: an error of the request is told at once, any other leads to the next candidate and
// then to the client; what answered with 200 and cannot be used is a 502 of the server's and not
// llm-d's 400, which blames the client; nothing handed over is a flag's choice and never a null.
TEST_F(SidecarVectors, T5WhatAPrefillerAnswersDecidesWhatTheClientGets) {
  struct Case {
    int status;
    std::string answer;
    int client;
    bool decodes;
  };
  const std::string error = R"({"error":{"message":"m"}})";
  start();
  for (const Case& vector : {Case{429, error, 429, false},
                             {400, error, 400, false},
                             {404, error, 404, false},
                             {500, error, 500, false},
                             {502, error, 502, false},
                             {503, error, 503, false},
                             {504, error, 504, false},
                             {200, "no JSON", 502, false},
                             {200, "{}", 200, true},
                             {200, R"({"kv_transfer_params":null})", 200, true}}) {
    prefiller_.status = vector.status;
    prefiller_.answer = vector.answer;
    const int before = decoder_.requests;
    const Recorder answer = post("/v1/completions", R"({"prompt":"p"})");
    EXPECT_EQ(answer.status, vector.client) << vector.status << vector.answer;
    EXPECT_EQ(decoder_.requests - before, vector.decodes ? 1 : 0) << vector.answer;
    if (vector.status != 200) {
      EXPECT_EQ(answer.body, error) << "its own answer";
    }
    if (vector.decodes) {
      EXPECT_EQ(decoder_.body, R"({"prompt":"p"})") << "no null";
      EXPECT_EQ(told_.path, Path::kNoHandoff) << "and it is counted";
    }
  }
}

TEST_F(SidecarVectors, T5APrefillerThatBreaksOffOrHangsIsLeft) {
  options_.handoff.prefill_deadline = std::chrono::milliseconds(20);
  options_.handoff.prefill_deadline_per_token = Duration::zero();
  start();
  prefiller_.breaks_off = true;
  EXPECT_THAT(post("/v1/completions", R"({"prompt":"p"})").body,
              HasSubstr("prefill_upstream_error"));
  prefiller_.breaks_off = false;
  prefiller_.holds = true;
  const Recorder late = post("/v1/completions", R"({"prompt":"p"})");
  EXPECT_EQ(late.status, 504);
  EXPECT_THAT(late.body, HasSubstr("prefill_upstream_timeout"));
  EXPECT_EQ(decoder_.requests, 0);
  run_until([this] { return prefiller_.left == 1; });
}

TEST_F(SidecarVectors, T5ByPolicyTheDecoderPrefillsAndTheSameWorkerIsAskedAgain) {
  options_.handoff.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
  options_.handoff.prefill_retries_most = 2;
  options_.handoff.prefill_retry_backoff = std::chrono::milliseconds(1);
  start();
  prefiller_.status = 503;
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
  EXPECT_EQ(prefiller_.requests, 3);
  EXPECT_EQ(decoder_.body, R"({"prompt":"p"})");
  EXPECT_EQ(told_.path, Path::kLocal);
}

// T6, nixlv2 in its generations: flat block ids (connector version 1), nested ones (by KV group),
// none; fields of later versions; numbers beyond 2^53.
TEST_F(SidecarVectors, T6AHandoffIsCopiedByteForByteOrRefused) {
  start();
  const std::string flat =
      R"({"do_remote_prefill":true, "do_remote_decode":false,"remote_block_ids":[1, 2],)"
      R"("remote_engine_id":"e","remote_host":"10.0.0.1","remote_port":5600,"tp_size":1})";
  const std::string latest =
      R"({"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[1,2,4],[9]],)"
      R"("remote_engine_id":"e","remote_request_id":"cmpl-r-0-1a2b3c4d","remote_host":"h",)"
      R"("remote_port":5600,"tp_size":1,"remote_blocks_expiry_time":1756900000.25,)"
      R"("remote_num_tokens":318,"dcp_size":1,"transfer_mode":"pull","new":[9007199254740993,{}]})";
  for (const std::string& params : {flat, latest}) {
    prefiller_.answer = R"({"id":"x","kv_transfer_params":)" + params + "}";
    EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
    EXPECT_EQ(decoder_.body, R"({"prompt":"p","kv_transfer_params":)" + params + "}");
    EXPECT_EQ(told_.path, Path::kTwoLegs);
  }
  const int decoded = decoder_.requests;
  for (const char* params :
       {"7", "{}", R"({"do_remote_prefill":false,"remote_block_ids":[1]})",
        R"({"do_remote_prefill":true,"remote_block_ids":["a"]})",
        R"({"do_remote_prefill":true,"remote_block_ids":[[1]],"remote_engine_id":"e",)"
        R"("remote_host":"h","remote_port":5600})",
        R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e",)"
        R"("remote_host":"h","remote_port":0})"}) {
    prefiller_.answer = std::string(R"({"kv_transfer_params":)") + params + "}";
    const Recorder answer = post("/v1/completions", R"({"prompt":"p"})");
    EXPECT_EQ(answer.status, 502) << params;
    EXPECT_THAT(answer.body, HasSubstr("invalid_prefill_handoff")) << params;
  }
  EXPECT_EQ(decoder_.requests, decoded);
  prefiller_.answer = R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[]}})";
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
  EXPECT_EQ(decoder_.body, R"({"prompt":"p"})") << "shorter than a block";
}

// T6 and T1 of the first dialect: members of the body itself (nixl, sidecars of 2025). llm-d's lets
// the prefiller generate the whole answer there; ours ends it after one token.
TEST_F(SidecarVectors, T6NixlOf2025HasMembersOfTheBody) {
  options_.handoff.dialect = KvDialect::kNixl;
  start();
  prefiller_.answer =
      R"({"remote_block_ids":[1,2],"remote_engine_id":"e","remote_host":"h","remote_port":5600})";
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p","stream":true})").status, 200);
  EXPECT_THAT(prefiller_.body,
              AllOf(HasSubstr(R"("do_remote_decode":true)"), HasSubstr(R"("stream":false)"),
                    HasSubstr(R"("max_tokens":1)")));
  EXPECT_EQ(decoder_.body,
            R"({"prompt":"p","stream":true,"remote_block_ids":[1,2],"remote_engine_id":"e",)"
            R"("remote_host":"h","remote_port":5600,"do_remote_prefill":true})");
}

// T7, nixlv2 with each API's own limits.
TEST_F(SidecarVectors, T7ThePrefillLegEndsAfterOneTokenAndTheDecodeLegHasItsLimitsBack) {
  struct Case {
    const char* path;
    std::string limits;
    std::vector<std::string> at_prefill, not_at_prefill;
  };
  start();
  prefiller_.answer = kAnswer;
  for (const Case& vector :
       {Case{"/v1/completions",
             R"("min_tokens":5,"n":2,"best_of":3,"max_tokens":90,"logprobs":4)",
             {R"("min_tokens":1)", R"("n":1)", R"("max_tokens":1)", R"("max_completion_tokens":1)"},
             {"best_of", "logprobs"}},
        {"/v1/completions",
         R"("max_tokens":90,"echo":true)",
         {R"("max_tokens":1)"},
         {"echo"}},
        {"/v1/chat/completions",
         R"("max_completion_tokens":90,"response_format":{"type":"json_object"})",
         {R"("max_completion_tokens":1)", R"("max_tokens":1)"},
         {"response_format"}},
        {"/v1/responses",
         R"("max_output_tokens":90)",
         {R"("max_output_tokens":1)"},
         {R"("max_tokens")"}},
        {"/v1/messages",
         R"("max_tokens":90,"stop_sequences":["x"])",
         {R"("max_tokens":1)"},
         {"stop_sequences"}}}) {
    const std::string body = "{" + vector.limits + "}";
    EXPECT_EQ(post(vector.path, body).status, 200) << vector.path;
    for (const std::string& text : vector.at_prefill) {
      EXPECT_THAT(prefiller_.body, HasSubstr(text)) << vector.path;
    }
    for (const std::string& text : vector.not_at_prefill) {
      EXPECT_THAT(prefiller_.body, Not(HasSubstr(text))) << vector.path;
    }
    EXPECT_EQ(decoder_.body, "{" + vector.limits + "," + handed_over(kAnswer) + "}");
  }
}

// The decoder reads the whole prompt for these: KV from elsewhere is of no use to it, and ends vLLM's
// engine.
TEST_F(SidecarVectors, T7ProbabilitiesOfThePromptAreTheDecodersAlone) {
  start();
  prefiller_.answer = kAnswer;
  for (const std::string limits : {R"("echo":true,"logprobs":4)", R"("prompt_logprobs":1)"}) {
    EXPECT_EQ(post("/v1/completions", "{" + limits + "}").status, 200);
    EXPECT_EQ(decoder_.body, "{" + limits + "}");
  }
  EXPECT_EQ(prefiller_.requests, 0);
}

// vLLM reads the parameters of /inference/v1/generate in sampling_params.extra_args alone; llm-d's
// sidecar puts them into the body, where they do nothing.
TEST_F(SidecarVectors, T7GenerateHasItsLimitsAndParametersInSamplingParams) {
  start();
  prefiller_.answer = kAnswer;
  EXPECT_EQ(post("/inference/v1/generate",
                 R"({"token_ids":[1],"sampling_params":{"max_tokens":90,"min_tokens":5}})")
                .status,
            200);
  EXPECT_EQ(prefiller_.body,
            R"({"token_ids":[1],"sampling_params":{"max_tokens":1,"min_tokens":1,"extra_args":{)" +
                std::string(kNixlParams) + R"(}},"stream":false})");
  EXPECT_EQ(decoder_.body,
            R"({"token_ids":[1],"sampling_params":{"max_tokens":90,"min_tokens":5,"extra_args":{)" +
                handed_over(kAnswer) + "}}}");
}

// T8, nixlv2: whenever the client leaves, no worker works on for it, and what was handed over is
// fetched, since a prefiller has no other call that lets go of it.
TEST_F(SidecarVectors, T8AClientThatLeavesBeforeThePrefillersAnswerEndsIt) {
  start();
  prefiller_.holds = true;
  auto client = begin("/v1/completions", prefill_at(prefiller_.address()), R"({"prompt":"p"})");
  run_until([this] { return prefiller_.requests == 1; });
  client->close();
  run_until([this] { return prefiller_.left == 1; });
  EXPECT_EQ(told_.status, 499);
  EXPECT_EQ(decoder_.requests, 0);
}

TEST_F(SidecarVectors, T8AClientThatLeavesBeforeTheDecodersAnswerHasItsHandoffFetched) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.holds = true;
  auto client = begin("/v1/completions", prefill_at(prefiller_.address()),
                      R"({"prompt":"p","max_tokens":90,"stream":true})");
  run_until([this] { return decoder_.requests == 1; });
  client->close();
  run_until([this] { return decoder_.left == 1 && decoder_.requests == 2; });
  EXPECT_EQ(decoder_.body,
            R"({"prompt":"p","max_tokens":1,"stream":false,"max_completion_tokens":1,)"
            R"("min_tokens":1,)" +
                handed_over(kAnswer) + "}");
  EXPECT_EQ(told_.status, 499);
}

TEST_F(SidecarVectors, T8AClientThatLeavesAStreamEndsTheDecodersWork) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = decoder_.stays_open = true;
  decoder_.answer = "data: {}\n\n";
  auto client =
      begin("/v1/completions", prefill_at(prefiller_.address()), R"({"prompt":"p","stream":true})");
  run_until([&] { return client->received().find("data: {}") != std::string::npos; });
  client->close();
  run_until([this] {  // one that has closed its side only would read on
    if (decoder_.open != nullptr) decoder_.open->write("data: {}\n\n");
    return decoder_.left == 1;
  });
  EXPECT_EQ(decoder_.requests, 1) << "it was fetched";
  EXPECT_TRUE(told_.is_cut);
}

// T9, shared-storage with decode first (llm-d's of 2026-02-06 and later).
TEST_F(SidecarVectors, T9AStoreIsLookedAtByTheDecoderFirst) {
  options_.handoff.dialect = KvDialect::kSharedStorage;
  start();
  const std::string below = R"({"choices":[{"text":"","finish_reason":"cache_threshold"}]})";
  const std::string enough = R"({"choices":[{"text":"t","finish_reason":"length"}]})";
  const std::string body = R"({"prompt":"p","min_tokens":5,"cache_hit_threshold":0.8})";

  decoder_.answer = enough;
  EXPECT_EQ(post("/v1/completions", body).body, enough);
  EXPECT_THAT(decoder_.bodies, ElementsAre(body));
  EXPECT_EQ(prefiller_.requests, 0) << "the decoder had enough";

  decoder_.next = {below, enough};
  EXPECT_EQ(post("/v1/completions", body).body, enough);
  EXPECT_EQ(prefiller_.body, R"({"prompt":"p","min_tokens":1,"cache_hit_threshold":0,)"
                             R"("max_tokens":1,"max_completion_tokens":1})");
  EXPECT_THAT(decoder_.bodies,
              ElementsAre(body, body, R"({"prompt":"p","min_tokens":5,"cache_hit_threshold":0})"));

  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
  EXPECT_EQ(prefiller_.requests, 2) << "nobody asked for a look";
  EXPECT_EQ(decoder_.body, R"({"prompt":"p","cache_hit_threshold":0})");
}

TEST_F(SidecarVectors, T9AStreamIsLookedAtBeforeItsFirstEventGoesOn) {
  options_.handoff.dialect = KvDialect::kSharedStorage;
  start();
  decoder_.streams = true;
  const std::string below =
      "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"cache_threshold\"}]}\n\n"
      "data: [DONE]\n\n";
  const std::string enough = "data: {\"choices\":[{\"text\":\"t\"}]}\n\ndata: [DONE]\n\n";
  const std::string body = R"({"prompt":"p","stream":true,"cache_hit_threshold":1})";
  decoder_.next = {below, enough};
  const Recorder answer = post("/v1/completions", body);
  EXPECT_EQ(answer.body, enough) << "nothing of the first one";
  EXPECT_EQ(prefiller_.requests, 1);
  EXPECT_THAT(prefiller_.body, HasSubstr(R"("stream":true)")) << "as llm-d leaves it";
  decoder_.answer = enough;
  EXPECT_EQ(post("/v1/completions", body).body, enough);
  EXPECT_EQ(prefiller_.requests, 1);

  auto old_client = std::make_unique<RawClient>(sidecar_->port());
  old_client->send(
      "POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
      prefill_at(prefiller_.address()) + "\r\n" + body);
  run_until([&] { return old_client->ended(); });
  EXPECT_THAT(old_client->received(), ::testing::EndsWith("\r\n\r\n" + enough)) << "reframed";
}

// T9 without a threshold, of sidecars of 2025.
TEST_F(SidecarVectors, T9LmcacheOf2025LeavesTheDecodersBodyAsItIs) {
  options_.handoff.dialect = KvDialect::kLmcache;
  start();
  const std::string body = R"({"prompt":"p","stream":true})";
  EXPECT_EQ(post("/v1/completions", body).status, 200);
  EXPECT_EQ(prefiller_.body,
            R"({"prompt":"p","stream":true,"max_tokens":1,"max_completion_tokens":1})");
  EXPECT_EQ(decoder_.body, body);
}

// T10, sglang: both legs at once, with one room; a list of prompts has a list of rooms, which
// llm-d's does not send.
TEST_F(SidecarVectors, T10SglangsWorkersMeetInARoom) {
  options_.handoff.dialect = KvDialect::kSglang;
  options_.prompts_most = 2;
  start();
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
  EXPECT_THAT(decoder_.body,
              ::testing::MatchesRegex(R"(\{"prompt":"p","bootstrap_host":"127.0.0.1",)"
                                      R"("bootstrap_port":8998,"bootstrap_room":[0-9]+\})"));
  EXPECT_EQ(prefiller_.body, decoder_.body);
  EXPECT_EQ(post("/v1/completions", R"({"prompt":["p","q"]})").status, 200);
  EXPECT_THAT(decoder_.body, HasSubstr(R"("bootstrap_host":["127.0.0.1","127.0.0.1"],)"
                                       R"("bootstrap_port":[8998,8998],"bootstrap_room":[)"));
  EXPECT_EQ(post("/v1/completions", R"({"prompt":["p","q","r"]})").status, 400);
}

// T10, sglang and P's failure: item by item llm-d's only traces it, and the decoder waits for KV
// that never comes. Here it ends the decoder's leg before its first byte.
TEST_F(SidecarVectors, T10APrefillersFailureEndsTheDecodersLeg) {
  options_.handoff.dialect = KvDialect::kSglang;
  start();
  decoder_.holds = true;
  prefiller_.status = 500;
  prefiller_.answer = R"({"error":"e"})";
  const Recorder answer = post("/v1/completions", R"({"prompt":"p"})");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, prefiller_.answer);
  run_until([this] { return decoder_.left == decoder_.requests; });
}

// T10, mooncake: the engine's id is asked for once, and again when the worker has restarted.
TEST_F(SidecarVectors, T10MooncakesEngineIsAskedForAgainAfterARestart) {
  LegWorkerFixture bootstrap(*loop_);
  options_.handoff.dialect = KvDialect::kMooncake;
  options_.handoff.mooncake_bootstrap_port = bootstrap.port();
  bootstrap.answer = R"({"2":{"engine_id":"first"}})";
  start();
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p","stream":true,"min_tokens":3})").status, 200);
  EXPECT_EQ(bootstrap.line, "GET /query");
  EXPECT_THAT(prefiller_.body,
              ::testing::MatchesRegex(R"(\{"prompt":"p","stream":false,"min_tokens":1,)"
                                      R"("max_tokens":1,"kv_transfer_params":\{)"
                                      R"("do_remote_prefill":false,"do_remote_decode":true,)"
                                      R"("transfer_id":"xfer-[0-9a-f]+-0"\}\})"));
  EXPECT_EQ(prefiller_.fields.find("x-data-parallel-rank")->second, "2");
  EXPECT_EQ(decoder_.fields.count("x-data-parallel-rank"), 0u);
  EXPECT_THAT(decoder_.body,
              HasSubstr(R"("remote_bootstrap_addr":"http://127.0.0.1:)" +
                        std::to_string(bootstrap.port()) + R"(","remote_engine_id":"first"})"));
  post("/v1/completions", R"({"prompt":"p"})");
  EXPECT_EQ(bootstrap.requests, 1) << "it is kept";

  bootstrap.answer = R"({"0":{"engine_id":"second"}})";
  prefiller_.breaks_off = decoder_.holds = true;
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 502);
  prefiller_.breaks_off = decoder_.holds = false;
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"p"})").status, 200);
  EXPECT_EQ(bootstrap.requests, 2);
  EXPECT_THAT(decoder_.body, HasSubstr(R"("remote_engine_id":"second")"));

  decoder_.status = 500;  // as one that cannot find the engine
  post("/v1/completions", R"({"prompt":"p"})");
  decoder_.status = 200;
  post("/v1/completions", R"({"prompt":"p"})");
  EXPECT_EQ(bootstrap.requests, 3);
}

TEST_F(SidecarVectors, T10ABootstrapServerThatDoesNotAnswerIsAPrefillersFailure) {
  LegWorkerFixture bootstrap(*loop_);
  options_.handoff.dialect = KvDialect::kMooncake;
  options_.handoff.mooncake_bootstrap_port = bootstrap.port();
  options_.bootstrap.deadline = std::chrono::milliseconds(20);
  start();
  for (const char* answer : {"{}", "no JSON"}) {
    bootstrap.answer = answer;
    const Recorder refused = post("/v1/completions", R"({"prompt":"p"})");
    EXPECT_EQ(refused.status, 502);
    EXPECT_THAT(refused.body, HasSubstr("the bootstrap server"));
  }
  bootstrap.status = 503;
  EXPECT_THAT(post("/v1/completions", R"({"prompt":"p"})").body, HasSubstr("answers 503"));
  bootstrap.holds = true;
  EXPECT_THAT(post("/v1/completions", R"({"prompt":"p"})").body, HasSubstr("in time"));
  run_until([&] { return bootstrap.left == 1; });
  EXPECT_EQ(prefiller_.requests + decoder_.requests, 0);
}

// T11, P2pNcclConnector (vLLM until 2026-06-08): one request id on both legs, in which each
// engine's pattern finds the other one, also behind what the engine puts before it.
TEST_F(SidecarVectors, T11TheRequestIdNamesBothEngines) {
  options_.handoff.dialect = KvDialect::kP2p;
  options_.pod_ip = "10.0.0.5";
  options_.p2p_port = 21001;
  start();
  ask("POST", "/v1/completions", prefill_at(prefiller_.address()) + "x-request-id: r-1\r\n",
      R"({"prompt":"p","stream":true,"max_tokens":9})");
  const std::string id = prefiller_.fields.find("x-request-id")->second;
  EXPECT_EQ(decoder_.fields.find("x-request-id")->second, id);
  EXPECT_THAT(id, ::testing::MatchesRegex("___prefill_addr_127.0.0.1:21001"
                                          "___decode_addr_10.0.0.5:21001_[0-9a-f]{32}"));
  for (const std::string& engines_own : {id, "cmpl-" + id + "-0", "chatcmpl-" + id}) {
    EXPECT_EQ(p2p_decode_address(engines_own), (P2pAddress{"10.0.0.5", 21001}));
    EXPECT_EQ(p2p_prefill_address(engines_own), (P2pAddress{"127.0.0.1", 21001}));
  }
  EXPECT_EQ(prefiller_.body, R"({"prompt":"p","stream":false,"max_tokens":1})");
  EXPECT_EQ(decoder_.body, R"({"prompt":"p","stream":true,"max_tokens":9})");
  ask("POST", "/v1/completions", "x-request-id: r-1\r\n", R"({"prompt":"p"})");
  EXPECT_EQ(decoder_.fields.find("x-request-id")->second, "r-1") << "it works alone";
}

// Names without a port, as the tutorial's filesystem proxy writes them, are no addresses: an engine
// that looks for one finds nothing.
TEST_F(SidecarVectors, T11TheFormWithoutPortsNamesNoEngine) {
  const std::string id = p2p_request_id("vllm-prefill-fs", "vllm-decode-fs", std::string(32, 'a'));
  EXPECT_EQ(p2p_prefill_address(id), std::nullopt);
  EXPECT_EQ(p2p_decode_address(id), std::nullopt);
  EXPECT_EQ(p2p_pair(id).value().prefill, "vllm-prefill-fs");
}

// OffloadingConnector's P2P tier (nightlies of 2026-06-30 and later), and the pull of a cached
// prefix.
TEST_F(SidecarVectors, OffloadingNamesEachPartyToTheOther) {
  options_.handoff.dialect = KvDialect::kOffloading;
  start();
  const std::string source = "x-kv-cache-source-host-port: 10.0.0.9:8000\r\n";
  ask("POST", "/v1/completions", prefill_at(prefiller_.address()) + source, R"({"prompt":"p"})");
  EXPECT_THAT(prefiller_.body,
              ::testing::MatchesRegex(
                  R"(.*"kv_transfer_params":\{"remote_decoder":\{"kv_request_id":"[0-9a-f]+"\},)"
                  R"("remote_kv_source":\{"kv_request_id":"[0-9a-f]+","remote_host":"10.0.0.9",)"
                  R"("remote_port":7777\}\}.*)"));
  EXPECT_THAT(decoder_.body,
              ::testing::MatchesRegex(
                  R"(.*"kv_transfer_params":\{"remote_prefiller":\{"kv_request_id":"[0-9a-f]+",)"
                  R"("remote_host":"127.0.0.1","remote_port":7777\}\}.*)"));
  ask("POST", "/v1/completions", source, R"({"prompt":"p"})");
  EXPECT_THAT(decoder_.body,
              StartsWith(R"({"prompt":"p","kv_transfer_params":{"remote_kv_source":)"));
  ask("POST", "/v1/completions", "x-kv-cache-source-host-port: none\r\n", R"({"prompt":"p"})");
  EXPECT_EQ(decoder_.body, R"({"prompt":"p"})") << "what is no address is ignored, as with llm-d's";
}

TEST_F(SidecarVectors, ASourceCountsWithNixlWhenItIsToldTo) {
  for (const bool pulls : {false, true}) {
    options_.nixl_pulls = pulls;
    client_.reset();
    sidecar_.reset();
    start();
    prefiller_.answer = kAnswer;
    ask("POST", "/v1/completions",
        prefill_at(prefiller_.address()) + "x-kv-cache-source-host-port: 10.0.0.9:8000\r\n",
        R"({"prompt":"p"})");
    EXPECT_EQ(prefiller_.body.find("remote_kv_source") != std::string::npos, pulls);
    EXPECT_THAT(decoder_.body, Not(HasSubstr("remote_kv_source")));
  }
}

}  // namespace
}  // namespace kvasir
