// What a worker answers: texts, choices, ends, usage, streams.
#include "worker/worker_fixture.h"

namespace kvasir {
namespace {

using WorkerAnswersTest = WorkerFixture;

constexpr size_t kBytesPerToken = 4;

TEST_F(WorkerAnswersTest, ACompletionHasAsManyTokensAsAskedFor) {
  const Json answer = complete(R"({"prompt":" bab bad baf","max_tokens":7})");
  EXPECT_EQ(answer["choices"][0]["text"].get<std::string>().size(), 7 * kBytesPerToken);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 7);
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(WorkerAnswersTest, AnAnswerDependsOnNothingButSeedAndRequest) {
  const std::string request = R"({"prompt":" bab bad","max_tokens":20})";
  const std::string text = complete(request)["choices"][0]["text"];
  std::vector<Call*> calls;
  for (int i = 0; i < 8; ++i) {
    begin("POST", "/v1/completions",
          R"({"prompt":" dad bad)" + std::string(static_cast<size_t>(i), 'x') + R"("})");
    calls.push_back(&begin("POST", "/v1/completions", request));
  }
  finish();
  for (const Call* call : calls) EXPECT_EQ(call->json()["choices"][0]["text"], text);
  const Json batch = complete(R"({"prompt":["x"," bab bad"],"max_tokens":20})");
  EXPECT_EQ(batch["choices"][1]["text"], text);
  EXPECT_NE(complete(R"({"prompt":" bab bad","max_tokens":20,"seed":1})")["choices"][0]["text"],
            text);
  WorkerOptions other = default_options();
  other.seed = 1;
  start_worker(other);
  EXPECT_NE(complete(request)["choices"][0]["text"], text);
}

TEST_F(WorkerAnswersTest, EachPromptHasItsChoicesAndPromptTokensCountOnce) {
  const Json answer = complete(R"({"prompt":[[300,301],[302]],"n":2,"max_tokens":3})");
  ASSERT_EQ(answer["choices"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(answer["choices"][i]["index"], i);
  EXPECT_NE(answer["choices"][0]["text"], answer["choices"][1]["text"]);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 12);
}

TEST_F(WorkerAnswersTest, AStreamIsTheWholeAnswerInPieces) {
  const std::string text = complete(R"({"prompt":"a","max_tokens":9})")["choices"][0]["text"];
  const auto events =
      post("/v1/completions",
           R"({"prompt":"a","max_tokens":9,"stream":true,"stream_options":{"include_usage":true}})")
          .events();
  ASSERT_EQ(events.size(), 10u);
  std::string streamed;
  for (size_t i = 0; i < 9; ++i) {
    streamed += events[i]["choices"][0]["text"];
    EXPECT_EQ(events[i]["choices"][0]["finish_reason"].is_null(), i < 8);
    EXPECT_FALSE(events[i].contains("usage"));
  }
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(events[9]["usage"]["completion_tokens"], 9);
  EXPECT_EQ(events[9]["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(WorkerAnswersTest, AChatStreamOpensWithTheRoleOfEachChoice) {
  const auto events =
      post("/v1/chat/completions",
           R"({"messages":[{"role":"user","content":"a"}],"n":2,"max_tokens":2,"stream":true})")
          .events();
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(events[1]["choices"][0]["index"], 1);
  EXPECT_TRUE(events[5].contains("system_fingerprint"));
  EXPECT_FALSE(events[4].contains("system_fingerprint"));
}

TEST_F(WorkerAnswersTest, AStopStringEndsTheAnswerBeforeIt) {
  const std::string text = complete(R"({"prompt":"a","max_tokens":8})")["choices"][0]["text"];
  const std::string stop = text.substr(6, 5);  // spans three tokens
  const std::string request = R"({"prompt":"a","max_tokens":8,"stop":[")" + stop + "\"]";
  const Json whole = complete(request + "}");
  EXPECT_EQ(whole["choices"][0]["text"], text.substr(0, 6));
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(whole["choices"][0]["stop_reason"], stop);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 3);
  std::string streamed;
  for (const Json& event : post("/v1/completions", request + ",\"stream\":true}").events()) {
    streamed += event["choices"][0]["text"];
  }
  EXPECT_EQ(streamed, text.substr(0, 6));
  const Json included = complete(request + R"(,"include_stop_str_in_output":true})");
  EXPECT_EQ(included["choices"][0]["text"], text.substr(0, 11));
}

TEST_F(WorkerAnswersTest, StopTokensAndTheEndOfSequenceStop) {
  const Json token = complete(R"({"prompt":"a","allowed_token_ids":[300],"stop_token_ids":[300]})");
  EXPECT_EQ(token["choices"][0]["stop_reason"], 300);
  EXPECT_EQ(token["choices"][0]["text"], "");
  const Json end = complete(R"({"prompt":"a","allowed_token_ids":[2304]})");
  EXPECT_EQ(end["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(end["choices"][0]["stop_reason"].is_null());
  const Json ignored =
      complete(R"({"prompt":"a","allowed_token_ids":[2304],"ignore_eos":true,"max_tokens":3})");
  EXPECT_EQ(ignored["usage"]["completion_tokens"], 3);
  const Json later =
      complete(R"({"prompt":"a","allowed_token_ids":[2304],"min_tokens":4,"max_tokens":6})");
  EXPECT_EQ(later["usage"]["completion_tokens"], 4);
}

TEST_F(WorkerAnswersTest, MaxTokensAreLoweredToWhatTheContextLeaves) {
  std::string ids = "300";
  for (int i = 1; i < 4090; ++i) ids += ",300";
  const Json answer = complete("{\"prompt\":[" + ids + "],\"max_tokens\":200}");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
}

TEST_F(WorkerAnswersTest, ACachedPrefixIsReportedUnderItsSaltOnly) {
  std::string prompt;
  for (int i = 0; i < 64; ++i) prompt += " bab";
  const auto cached = [&](const std::string& salt) {
    const std::string field = salt.empty() ? "" : R"(,"cache_salt":")" + salt + "\"";
    const Json answer = complete("{\"prompt\":\"" + prompt + "\",\"max_tokens\":1" + field + "}");
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>();
  };
  EXPECT_EQ(cached(""), 0);
  EXPECT_EQ(cached(""), 48);
  EXPECT_EQ(cached("x"), 0);
  EXPECT_EQ(cached("x"), 48);
  EXPECT_EQ(post("/reset_prefix_cache", "").status, 200);
  EXPECT_EQ(cached(""), 0);
}

TEST_F(WorkerAnswersTest, AnIdComesFromTheHeaderElseTheBodyElseChance) {
  const auto id = [&](const std::string& fields, const std::string& more) {
    return post("/v1/completions", R"({"prompt":"a","max_tokens":1)" + more + "}", fields)
        .json()["id"]
        .get<std::string>();
  };
  EXPECT_EQ(id("X-Request-Id: h\r\n", R"(,"request_id":"b")"), "cmpl-h");
  EXPECT_EQ(id("", R"(,"request_id":"b")"), "cmpl-b");
  EXPECT_EQ(id("", "").size(), 5u + 16);
  EXPECT_NE(id("", ""), id("", ""));
}

TEST_F(WorkerAnswersTest, AnEchoOpensTheAnswer) {
  const Json answer = complete(R"({"prompt":" bab bad","max_tokens":2,"echo":true})");
  EXPECT_EQ(answer["choices"][0]["text"].get<std::string>().substr(0, 8), " bab bad");
  EXPECT_EQ(answer["choices"][0]["text"].get<std::string>().size(), 16u);
  const Json nothing = complete(R"({"prompt":[256,257],"max_tokens":0,"echo":true})");
  EXPECT_EQ(nothing["choices"][0]["text"].get<std::string>().size(), 8u);
  EXPECT_EQ(nothing["usage"]["completion_tokens"], 1);
}

// As vLLM's recorded answers do: tests/vllm, completions_prompt_token_id_*.
TEST_F(WorkerAnswersTest, ATokenIdBeyondTheVocabularyIsNamedAsItWasSent) {
  for (const char* id :
       {"1000000", "2147483648", "4294967295", "4294967296", "9223372036854775808",
        "18446744073709551616", "99999999999999999999", "1208925819614629174706176"}) {
    for (const std::string& prompt :
         {"[1," + std::string(id) + "]", "[[1],[2," + std::string(id) + "]]"}) {
      const Json refused = complete(R"({"prompt":)" + prompt + "}");
      EXPECT_EQ(refused["error"]["message"],
                "Token id " + std::string(id) + " is out of vocabulary");
      EXPECT_EQ(refused["error"]["code"], 400);
    }
  }
  const Json widest = complete(R"({"prompt":[)" + std::string(60, '9') + "]}");
  EXPECT_EQ(widest["error"]["message"],
            "Token id 1329227995784915872903807060280344576 or larger is out of vocabulary");
}

TEST_F(WorkerAnswersTest, TokenizeAndDetokenizeAreInverse) {
  const Json tokens = post("/tokenize", R"({"prompt":" bab x","return_token_strs":true})").json();
  EXPECT_EQ(tokens["count"], 3);
  EXPECT_EQ(tokens["token_strs"][0], " bab");
  const Json text = post("/detokenize", "{\"tokens\":" + tokens["tokens"].dump() + "}").json();
  EXPECT_EQ(text["prompt"], " bab x");
}

}  // namespace
}  // namespace kvasir
