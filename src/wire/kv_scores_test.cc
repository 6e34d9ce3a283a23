#include "wire/kv_scores.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(KvScores, TheRequestCarriesThePromptAsItWasSent) {
  const std::string_view pods[] = {"a", "b\"c"};
  EXPECT_EQ(
      write_score_request("m", PromptKind::kText, R"(say \"hi\"\n)", pods),
      R"({"model":"m","prompt_blocks":[],"candidate_pods":["a","b\"c"],"prompt":"say \"hi\"\n"})");
  EXPECT_EQ(write_score_request("m", PromptKind::kMessages, R"([{"role":"user"}])", {}),
            R"({"model":"m","prompt_blocks":[],"candidate_pods":[],"messages":[{"role":"user"}]})");
  EXPECT_EQ(write_score_request("m", PromptKind::kOther, "", {}),
            R"({"model":"m","prompt_blocks":[],"candidate_pods":[],"prompt":null})");
}

TEST(KvScores, WhatOurOwnGatewayAsksIsRead) {
  const std::string_view pods[] = {"a"};
  const std::pair<PromptKind, std::string_view> prompts[] = {
      {PromptKind::kText, "words"},
      {PromptKind::kRawText, "words"},
      {PromptKind::kTokenIds, "[1,2]"},
      {PromptKind::kRawIds, "\x01"},
      {PromptKind::kMessages, "[{\"role\":\"user\"}]"},
      {PromptKind::kOther, ""},
  };
  for (const auto& [kind, prompt] : prompts) {
    const std::string body = write_score_request("m", kind, prompt, pods);
    const Result<ScoreQuery> query = read_score_query(body);
    ASSERT_TRUE(query) << body << query.error().message;
    EXPECT_TRUE(query->has_prompt()) << body;
    EXPECT_EQ(query->pods, std::vector<std::string>{"a"});
  }
}

TEST(KvScores, BothShapesOfAnswersAreRead) {
  const auto nested = read_score_answer(
      R"({"scores":{"a":{"cache_hit_rate":0.5,"score":50},"b":{"score":1},"c":{"cache_hit_rate":7}},"recommendation":"a"})");
  ASSERT_TRUE(nested);
  ASSERT_EQ(nested->size(), 2u);
  EXPECT_EQ((*nested)[0].pod, "a");
  EXPECT_DOUBLE_EQ((*nested)[0].hit_rate, 0.5);
  EXPECT_DOUBLE_EQ((*nested)[1].hit_rate, 1);
  const auto flat = read_score_answer(R"({"a":0.25,"note":"x"})");
  ASSERT_EQ(flat->size(), 1u);
  EXPECT_DOUBLE_EQ((*flat)[0].hit_rate, 0.25);
}

TEST(KvScores, WhatIsNoAnswerIsAnError) {
  for (const char* body : {"", "[]", "{", "\xff", R"({"scores":3})"}) {
    EXPECT_FALSE(read_score_answer(body)) << body;
  }
}

TEST(KvScores, AQuestionOfTheTutorialIsRead) {
  const Result<ScoreQuery> query = read_score_query(R"({
    "prompt": "Tell me about machine learning",
    "prompt_blocks": ["sha256:abc123...", "sha256:def456...", "sha256:ghi789..."],
    "candidate_pods": ["vllm-decode-pod-1", "vllm-decode-pod-2", "vllm-decode-pod-3"]
  })");
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(query->prompt, "Tell me about machine learning");
  ASSERT_EQ(query->blocks.size(), 3u);
  EXPECT_EQ(query->blocks[0].text, "sha256:abc123...");
  EXPECT_NE(query->blocks[0].name, query->blocks[1].name);
  ASSERT_TRUE(query->pods);
  EXPECT_EQ(query->pods->back(), "vllm-decode-pod-3");
}

TEST(KvScores, QuestionsMayCarryTokensAndTheirNamespace) {
  const Result<ScoreQuery> query = read_score_query(
      R"({"token_ids":[1, 2 ,4294967295],"model":"m","cache_salt":"s\n","lora":"Alice",)"
      R"("prompt_blocks":[7,-1,18446744073709551615,"\u0061"],"candidate_pods":null})");
  ASSERT_TRUE(query) << query.error().message;
  EXPECT_EQ(*query->token_ids, (std::vector<uint32_t>{1, 2, 4294967295}));
  EXPECT_EQ(query->cache_salt, "s\n");
  EXPECT_EQ(query->lora, "Alice");
  EXPECT_EQ(query->blocks[0].name, 7u);
  EXPECT_EQ(query->blocks[1].name, UINT64_MAX);
  EXPECT_EQ(query->blocks[2].name, UINT64_MAX);
  EXPECT_EQ(query->blocks[3].text, "a");
  EXPECT_FALSE(query->pods);
  const auto ids = read_score_query(R"({"prompt":[ 1,2 ]})");
  EXPECT_EQ(*ids->token_ids, (std::vector<uint32_t>{1, 2}));
  EXPECT_TRUE(read_score_query(R"({"prompt":[]})")->token_ids->empty());
  EXPECT_TRUE(read_score_query(R"({"messages":[{"role":"user"}]})")->conversation);
  EXPECT_TRUE(read_score_query(R"({"prompt":["a","b"]})")->other_prompt);
}

TEST(KvScores, APodThatIsNamedTwiceIsAskedForOnce) {
  const auto query = read_score_query(R"({"candidate_pods":["b","a","b"]})");
  ASSERT_TRUE(query);
  EXPECT_EQ(*query->pods, (std::vector<std::string>{"b", "a"}));
}

TEST(KvScores, AQuestionHasAPromptOrNone) {
  const std::pair<const char*, bool> cases[] = {
      {R"({})", false},
      {R"({"model":"m","candidate_pods":["a"]})", false},
      {R"({"prompt_blocks":[],"token_ids":[]})", false},
      {R"({"token_ids":null})", false},
      {R"({"token_ids":[1]})", true},
      {R"({"prompt":[1]})", true},
      {R"({"prompt":"text"})", true},
      {R"({"prompt_blocks":["h"]})", true},
      {R"({"messages":[]})", true},
      {R"({"prompt":null})", true},
  };
  for (const auto& [body, has_prompt] : cases) {
    const auto query = read_score_query(body);
    ASSERT_TRUE(query) << body;
    EXPECT_EQ(query->has_prompt(), has_prompt) << body;
  }
}

TEST(KvScores, WhatIsNoQuestionIsAnErrorThatSaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the body is not a JSON object"},
      {"[]", "the body is not a JSON object"},
      {R"({"model":"m")", "the body is not a JSON object"},
      {R"({} x)", "something follows the JSON object"},
      {R"({"model":3})", "model: not a text"},
      {R"({"token_ids":[1],"salt":"s"})",
       "salt: a question has no such field; did you mean 'cache_salt'?"},
      {R"({"candidates":["a"]})",
       "candidates: a question has no such field; did you mean 'candidate_pods'?"},
      {R"({"tokens":null})", "tokens: a question has no such field; did you mean 'token_ids'?"},
      {R"({"x":{}})",
       "x: a question has no such field; there are model, prompt, token_ids, messages, lora, "
       "lora_name, cache_salt, prompt_blocks, candidate_pods"},
      {R"({"token_ids":"1"})", "token_ids: not a list of token ids"},
      {R"({"token_ids":[1,]})",
       "token_ids: not a list of token ids: element 1, '', is no whole number from 0 to "
       "4294967295"},
      {R"({"token_ids":[1,-1]})",
       "token_ids: not a list of token ids: element 1, '-1', is no whole number from 0 to "
       "4294967295"},
      {R"({"token_ids":[1.5]})",
       "token_ids: not a list of token ids: element 0, '1.5', is no whole number from 0 to "
       "4294967295"},
      {R"({"token_ids":[0,4294967296]})",
       "token_ids: not a list of token ids: element 1, '4294967296', is no whole number from 0 to "
       "4294967295"},
      {R"({"token_ids":[...]})",
       "token_ids: not a list of token ids: element 0, '...', is no whole number from 0 to "
       "4294967295"},
      {R"({"token_ids":[1,2,3,4]})", "token_ids: more than 3 tokens"},
      {R"({"candidate_pods":["a",3]})", "candidate_pods: not a list of names"},
      {R"({"candidate_pods":"a"})", "candidate_pods: not a list of names"},
      {R"({"candidate_pods":["a","b","c"]})", "candidate_pods: more than 2 pods"},
      {R"({"prompt_blocks":[1,2]})", "prompt_blocks: more than 1 blocks"},
      {R"({"prompt_blocks":[null]})",
       "prompt_blocks: not a list of block hashes, which are integers or texts as in "
       "\"sha256:...\""},
  };
  for (const auto& [body, error] : cases) {
    const Result<ScoreQuery> query = read_score_query(body, {3, 1, 2});
    ASSERT_FALSE(query) << body;
    EXPECT_EQ(query.error().message, error) << body;
  }
}

}  // namespace
}  // namespace kvasir
