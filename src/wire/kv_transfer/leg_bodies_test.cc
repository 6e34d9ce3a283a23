#include "wire/kv_transfer/leg_bodies.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

class Legs {
 public:
  Legs(RequestApi api, std::string_view body) : body_(body), legs_(LegBodies::read(api, body_)) {}
  std::string prefill(KvDialect dialect, const LegFields& fields = {}) const {
    return legs_->prefill(dialect, fields);
  }
  std::string decode(KvDialect dialect, const LegFields& fields = {}) const {
    return legs_->decode(dialect, fields);
  }
  std::string local() const { return legs_->local(); }
  const LegBodies& bodies() const { return *legs_; }

 private:
  std::string body_;
  Result<LegBodies> legs_;
};

constexpr std::string_view kHandoff = R"({"remote_block_ids":[[1,2]],"big":9007199254740993})";

// Vector T1, in the dialect of kv_transfer_params with remote_request_id.
TEST(LegBodies, AStreamedChatGoesOutAsOneTokenAndComesBackAsItWas) {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}})";
  const Legs legs(RequestApi::kChatCompletions, body);
  EXPECT_EQ(legs.prefill(KvDialect::kNixlV2, {kNixlPrefillParams}),
            R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,)"
            R"("max_tokens":1,"max_completion_tokens":1,"min_tokens":1,"kv_transfer_params":)"
            R"({"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,)"
            R"("remote_block_ids":null,"remote_host":null,"remote_port":null}})");
  EXPECT_EQ(
      legs.decode(KvDialect::kNixlV2, {kHandoff}),
      body.substr(0, body.size() - 1) + ",\"kv_transfer_params\":" + std::string(kHandoff) + "}");
  EXPECT_TRUE(legs.bodies().stream());
}

// Vector T2.
TEST(LegBodies, WhatIsNotTouchedStaysByteForByte) {
  const std::string body =
      R"({ "seed": 9007199254740993, "zeta":1.0, "prompt":"<b>\u00e9","a":{"b":[1e400]},"zeta":2 })";
  const Legs legs(RequestApi::kCompletions, body);
  EXPECT_EQ(legs.local(), body);
  EXPECT_EQ(
      legs.prefill(KvDialect::kP2p),
      R"({ "seed": 9007199254740993, "zeta":1.0, "prompt":"<b>\u00e9","a":{"b":[1e400]},"zeta":2,"max_tokens":1 })");
  EXPECT_EQ(legs.decode(KvDialect::kP2p), body);
  const Legs streamed(RequestApi::kCompletions,
                      R"({"prompt":"p","stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(streamed.prefill(KvDialect::kP2p), R"({"prompt":"p","stream":false,"max_tokens":1})");
  EXPECT_EQ(legs.decode(KvDialect::kLmcache), body);
}

// Vector T3, and the other ways to say the same.
TEST(LegBodies, WhatAClientSaysOfWorkersReachesNone) {
  const std::string body =
      R"({"kv_transfer_params":{"remote_host":"10.0.0.1"},"prompt":"p","ec_transfer_params":{},)"
      R"("kv\u005ftransfer_params":{"remote_host":"10.0.0.2"},"do_remote_prefill":true,)"
      R"("remote_host":"h","remote_port":1,"remote_block_ids":[1],"remote_engine_id":"e",)"
      R"("bootstrap_host":"h","bootstrap_room":1,"bootstrap_port":2,"do_remote_decode":true,)"
      R"("vllm_xargs":{"kv_transfer_params":{"remote_host":"10.0.0.3"},"x":1}})";
  const Legs legs(RequestApi::kCompletions, body);
  EXPECT_EQ(legs.local(), R"({"prompt":"p","vllm_xargs":{"x":1}})");
  EXPECT_EQ(legs.decode(KvDialect::kNixlV2, {kHandoff}),
            R"({"prompt":"p","kv\u005ftransfer_params":)" + std::string(kHandoff) +
                R"(,"vllm_xargs":{"x":1}})");
  const Legs generate(
      RequestApi::kVllmGenerate,
      R"({"token_ids":[1],"sampling_params":{"extra_args":{"kv_transfer_params":{"a":1},"b":2},"seed":3}})");
  EXPECT_EQ(generate.local(),
            R"({"token_ids":[1],"sampling_params":{"extra_args":{"b":2},"seed":3}})");
}

// Vector T7.
TEST(LegBodies, EachApiIsLimitedByItsOwnFieldsWhichDecodeKeeps) {
  const std::string completion =
      R"({"prompt":"p","min_tokens":5,"max_tokens":9,"n":2,"best_of":3,"logprobs":1,"echo":true,"stop":["x"]})";
  const Legs legs(RequestApi::kCompletions, completion);
  EXPECT_EQ(legs.prefill(KvDialect::kNixlV2, {"{}"}),
            R"({"prompt":"p","min_tokens":1,"max_tokens":1,"n":1,"max_completion_tokens":1,)"
            R"("stream":false,"kv_transfer_params":{}})");
  EXPECT_EQ(legs.prefill(KvDialect::kMooncake, {"{}"}),
            R"({"prompt":"p","min_tokens":1,"max_tokens":1,"n":1,"stream":false,)"
            R"("kv_transfer_params":{}})");
  EXPECT_EQ(legs.prefill(KvDialect::kFolder, {}),
            R"({"prompt":"p","min_tokens":1,"max_tokens":1,"n":1})");
  EXPECT_EQ(legs.prefill(KvDialect::kP2p, {}),
            R"({"prompt":"p","min_tokens":1,"max_tokens":1,"n":2})")
      << "each choice's blocks are sent under its own name";
  EXPECT_EQ(legs.decode(KvDialect::kNixlV2, {"{}"}),
            completion.substr(0, completion.size() - 1) + R"(,"kv_transfer_params":{}})");

  const Legs chat(RequestApi::kChatCompletions, R"({"messages":[],"max_completion_tokens":7})");
  EXPECT_EQ(chat.prefill(KvDialect::kMooncake, {"{}"}),
            R"({"messages":[],"max_completion_tokens":1,"max_tokens":1,"stream":false,)"
            R"("kv_transfer_params":{}})");
  const Legs responses(RequestApi::kResponses,
                       R"({"input":"i","max_output_tokens":99,"background":true})");
  EXPECT_EQ(responses.prefill(KvDialect::kNixlV2, {"{}"}),
            R"({"input":"i","max_output_tokens":1,"stream":false,"kv_transfer_params":{}})");
}

// vLLM reads sampling_params.extra_args there, and nothing else.
TEST(LegBodies, GenerateHasItsHandoffWhereTheEngineLooks) {
  const Legs legs(RequestApi::kVllmGenerate,
                  R"({"token_ids":[1,2],"sampling_params":{"max_tokens":50,"n":2},"stream":true})");
  EXPECT_EQ(legs.prefill(KvDialect::kNixlV2, {"{}"}),
            R"({"token_ids":[1,2],"sampling_params":{"max_tokens":1,"n":1,"min_tokens":1,)"
            R"("extra_args":{"kv_transfer_params":{}}},"stream":false})");
  EXPECT_EQ(legs.decode(KvDialect::kNixlV2, {"{\"a\":1}"}),
            R"({"token_ids":[1,2],"sampling_params":{"max_tokens":50,"n":2,)"
            R"("extra_args":{"kv_transfer_params":{"a":1}}},"stream":true})");
  const Legs bare(RequestApi::kVllmGenerate, R"({"token_ids":[1]})");
  EXPECT_EQ(bare.prefill(KvDialect::kNixlV2, {"{}"}),
            R"({"token_ids":[1],"stream":false,"sampling_params":{"max_tokens":1,"min_tokens":1,)"
            R"("extra_args":{"kv_transfer_params":{}}}})");
  const Legs wrong(RequestApi::kVllmGenerate, R"({"sampling_params":7})");
  EXPECT_EQ(wrong.decode(KvDialect::kNixlV2, {"{}"}), R"({"sampling_params":7})")
      << "the engine says what is wrong with it";
}

// Vector T9's bodies, and those of the dialect's first version.
TEST(LegBodies, ASharedStoreIsFilledAndReadWithoutAHandoff) {
  const Legs legs(RequestApi::kCompletions,
                  R"({"prompt":"p","stream":true,"cache_hit_threshold":0.5})");
  EXPECT_TRUE(legs.bodies().has_cache_hit_threshold());
  EXPECT_EQ(
      legs.prefill(KvDialect::kSharedStorage),
      R"({"prompt":"p","stream":true,"cache_hit_threshold":0,"max_tokens":1,"max_completion_tokens":1})");
  EXPECT_EQ(legs.decode(KvDialect::kSharedStorage),
            R"({"prompt":"p","stream":true,"cache_hit_threshold":0})");
  EXPECT_EQ(Legs(RequestApi::kCompletions, R"({"prompt":"p"})").prefill(KvDialect::kLmcache),
            R"({"prompt":"p","max_tokens":1,"max_completion_tokens":1})");
  EXPECT_EQ(Legs(RequestApi::kCompletions, R"({"prompt":"p"})").decode(KvDialect::kSharedStorage),
            R"({"prompt":"p","cache_hit_threshold":0})");
}

TEST(LegBodies, SglangsLegsAreAlike) {
  const Legs legs(RequestApi::kChatCompletions, R"({"messages":[],"bootstrap_room":5})");
  const JsonEdit room[] = {{"bootstrap_host", "\"10.0.0.7\""},
                           {"bootstrap_port", "8998"},
                           {"bootstrap_room", "123456789012345678"}};
  LegFields fields;
  fields.members = room;
  const std::string both =
      R"({"messages":[],"bootstrap_room":123456789012345678,"bootstrap_host":"10.0.0.7","bootstrap_port":8998})";
  EXPECT_EQ(legs.prefill(KvDialect::kSglang, fields), both);
  EXPECT_EQ(legs.decode(KvDialect::kSglang, fields), both);
}

TEST(LegBodies, TheOldestDialectHasItsFieldsInTheBody) {
  const Legs legs(RequestApi::kCompletions, R"({"prompt":"p","stream":true,"max_tokens":9})");
  EXPECT_EQ(legs.prefill(KvDialect::kNixl),
            R"({"prompt":"p","stream":false,"max_tokens":1,"max_completion_tokens":1,)"
            R"("min_tokens":1,"do_remote_decode":true})");
  const JsonEdit remote[] = {{"remote_block_ids", "[1]"},
                             {"remote_engine_id", "\"e\""},
                             {"remote_host", "\"h\""},
                             {"remote_port", "5600"}};
  LegFields fields;
  fields.members = remote;
  EXPECT_EQ(
      legs.decode(KvDialect::kNixl, fields),
      R"({"prompt":"p","stream":true,"max_tokens":9,"remote_block_ids":[1],)"
      R"("remote_engine_id":"e","remote_host":"h","remote_port":5600,"do_remote_prefill":true})");
}

TEST(LegBodies, WhatIsNoObjectIsRefused) {
  for (const std::string_view body : {"", "[1]", "{\"a\":", "{} {}"}) {
    EXPECT_FALSE(LegBodies::read(RequestApi::kCompletions, body)) << body;
  }
  EXPECT_FALSE(has_two_legs(RequestApi::kEmbeddings));
}

TEST(LegBodies, AFirstTokenIsCertainWhereNothingIsSampledAndTextIsAll) {
  const auto is_certain = [](std::string_view more, RequestApi api = RequestApi::kCompletions) {
    const std::string body = R"({"stream":true,"temperature":0)" + std::string(more) + "}";
    return LegBodies::read(api, body).value().has_certain_first_token();
  };
  EXPECT_TRUE(is_certain(R"(,"prompt":"p","n":1,"logprobs":null,"echo":false)"));
  EXPECT_TRUE(
      is_certain(R"(,"stream_options":{"include_usage":true})", RequestApi::kChatCompletions));
  for (const char* more :
       {R"(,"temperature":0.1)", R"(,"stream":false)", R"(,"n":2)", R"(,"logprobs":1)",
        R"(,"echo":true)", R"(,"stop":["x"])", R"(,"tools":[])", R"(,"prompt":["a","b"])",
        R"(,"best_of":2)", R"(,"response_format":{"type":"json_object"})",
        R"(,"temperature":null)"}) {
    EXPECT_FALSE(is_certain(more)) << more;
  }
  EXPECT_FALSE(is_certain("", RequestApi::kResponses));
}

TEST(LegBodies, OneWorkerIsWantedForProbabilitiesOfThePromptWhereverTheApiHasThem) {
  const auto wants = [](RequestApi api, const std::string& body) {
    return Legs(api, body).bodies().wants_one_worker();
  };
  EXPECT_TRUE(wants(RequestApi::kCompletions, R"({"prompt_logprobs":0})"));
  EXPECT_TRUE(wants(RequestApi::kVllmGenerate, R"({"sampling_params":{"prompt_logprobs":0}})"));
  for (const char* body : {R"({"sampling_params":{"prompt_logprobs":null,"logprobs":2}})", "{}",
                           R"({"sampling_params":null})"}) {
    EXPECT_FALSE(wants(RequestApi::kVllmGenerate, body)) << body;
  }
}

TEST(LegBodies, PromptsAreCountedWhenTheyStandInAList) {
  const auto prompts = [](std::string_view body) {
    return LegBodies::read(RequestApi::kCompletions, body).value().prompts();
  };
  EXPECT_EQ(prompts(R"({"prompt":["a","b"]})"), 2u);
  EXPECT_EQ(prompts(R"({"prompt":[[1,2],[3],[4]]})"), 3u);
  EXPECT_EQ(prompts(R"({"prompt":["a"]})"), 1u);
  for (const char* one : {R"({"prompt":"a"})", R"({"prompt":[1,2]})", R"({"prompt":[]})",
                          R"({"messages":[{}]})", R"({"prompt":null})"}) {
    EXPECT_EQ(prompts(one), std::nullopt) << one;
  }
}

TEST(LegBodies, WhatAClientSaysOfWorkersIsSeenWhereverItStands) {
  const auto names = [](RequestApi api, std::string_view body) {
    return LegBodies::read(api, body).value().names_workers();
  };
  EXPECT_FALSE(names(RequestApi::kCompletions, R"({"prompt":"p","vllm_xargs":{"a":1}})"));
  EXPECT_FALSE(names(RequestApi::kVllmGenerate, R"({"sampling_params":{"max_tokens":1}})"));
  for (const char* body : {R"({"kv_transfer_params":null})", R"({"kv_\u0074ransfer_params":{}})",
                           R"({"bootstrap_host":"h"})", R"({"remote_port":1})",
                           R"({"vllm_xargs":{"kv_transfer_params":"{}"}})"}) {
    EXPECT_TRUE(names(RequestApi::kCompletions, body)) << body;
  }
  EXPECT_TRUE(names(RequestApi::kVllmGenerate,
                    R"({"sampling_params":{"extra_args":{"kv_transfer_params":{}}}})"));
}

}  // namespace
}  // namespace kvasir
