#include "pdproxy/prompt_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/io/byte_buffer.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

// With room to read behind the body.
PromptLimit checked(RequestApi api, std::string body, uint32_t tokens_max) {
  const size_t size = body.size();
  body.append(ByteBuffer::kReadablePadding, ' ');
  return check_prompt(api, std::string_view(body).substr(0, size), tokens_max);
}

std::string completion(const std::string& prompt) {
  return R"({"model":"m","prompt":)" + prompt + "}";
}

TEST(PromptLimit, BytesDecideWhereTheyCan) {
  const std::string few = completion("\"hello\"");
  const std::string some = completion('"' + std::string(3000, 'a') + '"');
  EXPECT_EQ(checked(RequestApi::kCompletions, few, 2048).fit, PromptFit::kFits);
  EXPECT_EQ(checked(RequestApi::kCompletions, some, 0).fit, PromptFit::kFits) << "no limit";
  EXPECT_EQ(checked(RequestApi::kCompletions, some, 100).fit, PromptFit::kTooLong);
  EXPECT_EQ(checked(RequestApi::kCompletions, some, 4096).fit, PromptFit::kFits);
  const PromptLimit asked = checked(RequestApi::kCompletions, some, 2048);
  EXPECT_EQ(asked.fit, PromptFit::kToBeCounted);
  EXPECT_EQ(asked.question, R"({"prompt":")" + std::string(3000, 'a') + "\"}");
}

TEST(PromptLimit, IdsAreCounted) {
  std::string ids = "[1";
  for (int i = 1; i < 100; ++i) ids += ",1";
  EXPECT_EQ(checked(RequestApi::kCompletions, completion(ids + "]"), 100).fit, PromptFit::kFits);
  EXPECT_EQ(checked(RequestApi::kCompletions, completion(ids + ",1]"), 100).fit,
            PromptFit::kTooLong);
  EXPECT_EQ(checked(RequestApi::kVllmGenerate, R"({"token_ids":)" + ids + ",1]}", 100).fit,
            PromptFit::kTooLong);
}

// Room is kept for so many.
TEST(PromptLimit, WhatFitsHasNoMoreTokensThanIsSaid) {
  EXPECT_EQ(checked(RequestApi::kCompletions, completion("[7,8,9]"), 100).tokens, 3u);
  const std::string text = completion("\"hello\"");
  EXPECT_EQ(checked(RequestApi::kCompletions, text, 2048).tokens, text.size() + 512);
  EXPECT_EQ(checked(RequestApi::kCompletions, "?", 2048).tokens, 1u) << "no engine reads it";
}

TEST(PromptLimit, WhatCannotBeToldIsTooLong) {
  const std::string text(3000, 'a');
  const std::string several = completion("[\"" + text + "\",\"b\"]");
  EXPECT_EQ(checked(RequestApi::kCompletions, several, 2048).fit, PromptFit::kTooLong);
  const std::string picture =
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]})";
  EXPECT_EQ(checked(RequestApi::kChatCompletions, picture, 2048).fit, PromptFit::kTooLong);
  const std::string message = R"({"messages":[{"role":"user","content":")" + text + "\"}]}";
  EXPECT_EQ(checked(RequestApi::kAnthropicMessages, message, 2048).fit, PromptFit::kTooLong);
  const PromptLimit chat = checked(RequestApi::kChatCompletions, message, 2048);
  EXPECT_EQ(chat.fit, PromptFit::kToBeCounted);
  EXPECT_THAT(chat.question, HasSubstr("\"messages\""));
  const std::string quoted = R"({"messages":[{"role":"user","content":"the \"image\" tag"}]})";
  EXPECT_EQ(checked(RequestApi::kChatCompletions, quoted, 2048).fit, PromptFit::kFits);
}

TEST(PromptLimit, TheCountIsRead) {
  EXPECT_EQ(counted_tokens(R"({"count":2049,"max_model_len":4096,"tokens":[1,2]})"), 2049u);
  for (const char* answer : {"", "[]", "{}", R"({"count":"2"})", R"({"count":-1})"}) {
    EXPECT_EQ(counted_tokens(answer), std::nullopt) << answer;
  }
}

}  // namespace
}  // namespace kvasir
