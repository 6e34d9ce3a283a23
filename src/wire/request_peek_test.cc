#include "wire/request_peek.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

std::string padded(std::string_view body) { return std::string(body) + std::string(64, '\0'); }

std::optional<RequestPeek> peek(const std::string& padded_body) {
  RequestPeeker peeker;
  return peeker.peek(std::string_view(padded_body).substr(0, padded_body.size() - 64));
}

TEST(RequestPeeker, FindsTheFieldsOfACompletion) {
  const std::string body =
      padded(R"({"max_tokens": 5, "prompt" : "a \"b\" c" , "stream":true,"model":"m/1","x":{"model":"no"}})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->model, "m/1");
  EXPECT_TRUE(found->stream);
  EXPECT_EQ(found->kind, PromptKind::kText);
  EXPECT_EQ(found->prompt, R"(a \"b\" c)");
}

TEST(RequestPeeker, CountsTokenIds) {
  const std::string body = padded(R"({"prompt":[ 1, 2,3 ],"cache_salt":"s\u0061"})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, PromptKind::kTokenIds);
  EXPECT_EQ(found->prompt_ids, 3u);
  EXPECT_EQ(found->cache_salt, "sa");
  EXPECT_FALSE(found->stream);
}

TEST(RequestPeeker, TakesMessagesAsTheyStand) {
  const std::string body = padded(R"({"messages":[{"role":"user","content":"hi"}],"model":"m"})");
  const auto found = peek(body);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, PromptKind::kMessages);
  EXPECT_EQ(found->prompt, R"([{"role":"user","content":"hi"}])");
}

TEST(RequestPeeker, WrongTypesAreLeftToTheWorker) {
  for (const char* text : {R"({"prompt":5,"model":7,"stream":"yes"})", R"({"prompt":["a","b"]})",
                           R"({"messages":"x"})", R"({})"}) {
    const std::string body = padded(text);
    const auto found = peek(body);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->kind, PromptKind::kOther) << text;
    EXPECT_FALSE(found->stream) << text;
  }
}

TEST(RequestPeeker, WhatIsNotAnObjectIsNotUnderstood) {
  for (const char* text : {"", "x", "[1]", "null", R"({"a":)", R"({"prompt":"a)", R"({"a" 1})",
                           R"({"model":"m"} x)", R"({"model":@{}})", R"({"prompt":@{}})", "{\"model\":\"\xff\"}"}) {
    const std::string body = padded(text);
    EXPECT_FALSE(peek(body)) << text;
  }
}

}  // namespace
}  // namespace kvasir
