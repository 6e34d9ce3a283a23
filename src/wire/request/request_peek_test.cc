#include "wire/request/request_peek.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

std::string padded(std::string_view body) {
  return std::string(body) + std::string(64, '\0');
}

std::string_view without_padding(const std::string& padded_body) {
  return std::string_view(padded_body).substr(0, padded_body.size() - 64);
}

std::optional<RequestPeek> peek(const std::string& padded_body,
                                RequestApi api = RequestApi::kUnknown) {
  return peek_request(without_padding(padded_body), api);
}

TEST(PeekRequest, FindsTheFieldsOfACompletion) {
  const std::string body = padded(
      R"({"max_tokens": 5, "prompt" : "a \"b\" c" , "stream":true,"model":"m/1","x":{"model":"no"}})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->model, "m/1");
  EXPECT_TRUE(found->stream);
  EXPECT_EQ(found->kind, PromptKind::kText);
  EXPECT_EQ(found->prompt, R"(a \"b\" c)");
}

TEST(PeekRequest, CountsTokenIds) {
  const std::string body = padded(R"({"prompt":[ 1, 2,3 ],"cache_salt":"s\u0061"})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, PromptKind::kTokenIds);
  EXPECT_EQ(found->prompt_ids, 3u);
  EXPECT_EQ(found->cache_salt, "sa");
  EXPECT_FALSE(found->stream);
}

TEST(PeekRequest, TakesMessagesAsTheyStand) {
  const std::string body = padded(R"({"messages":[{"role":"user","content":"hi"}],"model":"m"})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, PromptKind::kMessages);
  EXPECT_EQ(found->prompt, R"([{"role":"user","content":"hi"}])");
}

TEST(PeekRequest, WrongTypesAreLeftToTheWorker) {
  for (const char* text : {R"({"prompt":5,"model":7,"stream":"yes"})", R"({"prompt":["a","b"]})",
                           R"({"messages":"x"})", R"({})"}) {
    const std::string body = padded(text);
    const auto found = peek(body);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->kind, PromptKind::kOther) << text;
    EXPECT_FALSE(found->stream) << text;
  }
}

TEST(PeekRequest, WhatIsNotAnObjectIsNotUnderstood) {
  for (const char* text :
       {"", "x", "[1]", "null", R"({"a":)", R"({"prompt":"a)", R"({"a" 1})", R"({"model":"m"} x)",
        R"({"model":@{}})", R"({"prompt":@{}})", "{\"model\":\"\xff\"}"}) {
    const std::string body = padded(text);
    EXPECT_FALSE(peek(body)) << text;
  }
}

TEST(PeekRequest, EachApiHasItsPromptElsewhere) {
  using Api = RequestApi;
  using Kind = PromptKind;
  const struct {
    Api api;
    std::string_view body;
    Kind kind;
    std::string_view prompt, system;
    std::optional<uint32_t> ids, limit;
  } cases[] = {
      {Api::kCompletions,
       R"({"messages":[1],"prompt":"a\n","max_tokens":5})",
       Kind::kText,
       R"(a\n)",
       "",
       {},
       5},
      {Api::kCompletions, R"({"prompt":["a","b"]})", Kind::kOther, R"(["a","b"])", "", {}, {}},
      {Api::kChatCompletions,
       R"({"prompt":"no","messages":[{"role":"user"}],"max_completion_tokens":7,"max_tokens":5})",
       Kind::kMessages,
       R"([{"role":"user"}])",
       "",
       {},
       7},
      {Api::kEmbeddings, R"({"input":"text"})", Kind::kText, "text", "", {}, {}},
      {Api::kEmbeddings, R"({"input":[1,2]})", Kind::kTokenIds, "[1,2]", "", 2, {}},
      {Api::kEmbeddings, R"({"input":["a", "b"] })", Kind::kOther, R"(["a", "b"])", "", {}, {}},
      {Api::kResponses,
       R"({"input":"hi","instructions":"be kind","max_output_tokens":9})",
       Kind::kText,
       "hi",
       R"("be kind")",
       {},
       9},
      {Api::kResponses,
       R"({"input":[{"role":"user"}]})",
       Kind::kMessages,
       R"([{"role":"user"}])",
       "",
       {},
       {}},
      {Api::kConversations,
       R"({"items":[{"type":"message"}]})",
       Kind::kMessages,
       R"([{"type":"message"}])",
       "",
       {},
       {}},
      {Api::kAnthropicMessages,
       R"({"messages":[{"content":"hi"}],"system":"sys","max_tokens":3})",
       Kind::kMessages,
       R"([{"content":"hi"}])",
       R"("sys")",
       {},
       3},
      {Api::kAnthropicMessages,
       R"({"system":[{"type":"text","text":"s"}] ,"messages":[]})",
       Kind::kMessages,
       "[]",
       R"([{"type":"text","text":"s"}])",
       {},
       {}},
      {Api::kVllmGenerate, R"({"token_ids":[1,22,3],"sampling_params":{"max_tokens":11,"n":1}})",
       Kind::kTokenIds, "[1,22,3]", "", 3, 11},
      {Api::kVllmGenerate, R"({"prompt_token_ids":[4]})", Kind::kTokenIds, "[4]", "", 1, {}},
      {Api::kSglangGenerate,
       R"({"text":"hi","sampling_params":{"max_new_tokens":12}})",
       Kind::kText,
       "hi",
       "",
       {},
       12},
      {Api::kSglangGenerate, R"({"input_ids":[5,6]})", Kind::kTokenIds, "[5,6]", "", 2, {}},
      {Api::kOpaque, R"({"prompt":"a","messages":[]})", Kind::kOther, "", "", {}, {}},
      {Api::kCompletions, R"({"prompt":"a","max_tokens":-1})", Kind::kText, "a", "", {}, {}},
      {Api::kCompletions, R"({"prompt":"a","max_tokens":"9"})", Kind::kText, "a", "", {}, {}},
      {Api::kCompletions,
       R"({"prompt":"a","max_tokens":5000000000})",
       Kind::kText,
       "a",
       "",
       {},
       {}},
      {Api::kSglangGenerate, R"({"text":"a","sampling_params":[1]})", Kind::kText, "a", "", {}, {}},
  };
  for (const auto& test : cases) {
    const std::string body = padded(test.body);
    const auto found = peek(body, test.api);
    ASSERT_TRUE(found) << test.body;
    EXPECT_EQ(found->kind, test.kind) << test.body;
    EXPECT_EQ(found->prompt, test.prompt) << test.body;
    EXPECT_EQ(found->field(PromptField::kSystem), test.system) << test.body;
    EXPECT_EQ(found->prompt_ids, test.ids) << test.body;
    EXPECT_EQ(found->output_tokens_max, test.limit) << test.body;
  }
}

TEST(PeekRequest, ModelIsKnownToTheByte) {
  const struct {
    std::string_view body, model, json;
  } cases[] = {
      {R"({"model" :  "a\/b\u0063"  ,"x":1})", "a/bc", R"("a\/b\u0063")"},
      {R"({"model":"a","model":"b"})", "b", R"("b")"},
      {R"({"model":""})", "", R"("")"},
      {R"({"model":null})", "", "null"},
      {R"({"x":1})", "", ""},
  };
  for (const auto& test : cases) {
    const std::string body = padded(test.body);
    const auto found = peek(body);
    ASSERT_TRUE(found) << test.body;
    EXPECT_EQ(found->model, test.model) << test.body;
    EXPECT_EQ(found->model_json, test.json) << test.body;
    if (test.json.empty()) continue;
    EXPECT_GE(found->model_json.data(), body.data()) << test.body;
    EXPECT_LT(found->model_json.data(), body.data() + body.size()) << test.body;
  }
}

TEST(PeekRequest, SaysWhatIsWrongInUpstreamsWords) {
  for (const char* text :
       {"", "x", "[1]", "null", R"({"a":)", R"({"prompt":"a)", R"({"model":"m"} x)"}) {
    const std::string body = padded(text);
    const Result<RequestPeek> read = read_request(without_padding(body), RequestApi::kCompletions);
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, ::testing::StartsWith("error unmarshaling request bodyMap: "))
        << text;
    EXPECT_GT(read.error().message.size(), 40u) << text;
  }
  const std::string body = padded(R"({"model":"m"})");
  EXPECT_TRUE(read_request(without_padding(body), RequestApi::kCompletions));
  EXPECT_EQ(kModelNotFound, "model not found in request body");
}

}  // namespace
}  // namespace kvasir
