#include "wire/openai_stream.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

AnswerPart event(std::string_view data) {
  Result<AnswerPart> part = read_stream_event(data);
  EXPECT_TRUE(part) << part.error().message << " in " << data;
  return part ? *part : AnswerPart();
}

TEST(OpenAiStream, TextIsFoundInEveryShape) {
  const struct {
    const char* data;
    const char* text;
  } cases[] = {
      // vLLM's completion chunk
      {R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,)"
       R"("text":" bab","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null})",
       " bab"},
      {R"({"choices": [{"index": 0, "text": " bab", "finish_reason": null}]})", " bab"},
      {R"({"choices":[{"text":""}]})", ""},
      {R"({"choices":[{"text":"a"},{"text":"b"}]})", "ab"},
      {R"({"choices":[{"text":"say \"text\":\"x\"\n\u00e9"}]})", "say \"text\":\"x\"\n\xc3\xa9"},
      {R"({"choices":[{"text":"","finish_reason":"stop"}]})", ""},
      {R"({"choices":[{"text":" last","finish_reason":"length"}]})", " last"},
      // chat
      {R"({"object":"chat.completion.chunk","choices":[{"index":0,)"
       R"("delta":{"role":"assistant","content":""}}]})",
       ""},
      {R"({"object":"chat.completion.chunk","choices":[{"index":0,)"
       R"("delta":{"content":"hi"},"finish_reason":null}]})",
       "hi"},
      {R"({"choices":[{"delta":{"content":null}}]})", ""},
      {R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})", ""},
      {R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})", ""},
      {R"({"model":"\"text\":\"no\"","choices":[{"text":"yes"}]})", "yes"},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(event(one.data).text, one.text) << one.data;
    const auto parsed = parse_answer(one.data);
    ASSERT_TRUE(parsed) << one.data;
    EXPECT_EQ(parsed->text, one.text) << one.data;
  }
}

TEST(OpenAiStream, DoneIsNoJson) {
  EXPECT_TRUE(event("[DONE]").done);
  EXPECT_FALSE(event(R"({"choices":[{"text":"[DONE]"}]})").done);
  EXPECT_FALSE(read_stream_event("[DONE"));
}

TEST(OpenAiStream, UsageAndFinishReasonAreRead) {
  const AnswerPart last = event(
      R"({"choices":[{"text":" x","finish_reason":"length"}],"usage":{"prompt_tokens":12,)"
      R"("total_tokens":15,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}})");
  EXPECT_EQ(last.finish_reason, "length");
  EXPECT_EQ(last.usage, (TokenUsage{12, 3, 8}));
  const AnswerPart silent =
      event(R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,)"
            R"("prompt_tokens_details":null}})");
  EXPECT_EQ(silent.usage, (TokenUsage{1, 2, std::nullopt}));
  EXPECT_FALSE(event(R"({"choices":[{"text":"a"}],"usage":null})").usage);
}

TEST(OpenAiStream, ErrorsAreRead) {
  const struct {
    const char* data;
    AnswerError error;
  } cases[] = {
      {R"({"error":{"message":"no","type":"BadRequestError","param":null,"code":400}})",
       {"no", "BadRequestError", "400"}},
      {R"({"error":{"message":"no","type":"t","code":"model_not_found"}})",
       {"no", "t", "model_not_found"}},
      {R"({"error":"plain words"})", {"plain words", "", ""}},
      {R"({"object":"error","message":"old","type":"t","code":500})", {"old", "t", "500"}},
      {R"({"choices":[],"error":{"message":"late"}})", {"late", "", ""}},
  };
  for (const auto& one : cases) EXPECT_EQ(event(one.data).error, one.error) << one.data;
  EXPECT_FALSE(event(R"({"choices":[{"text":"error"}],"error":null})").error);
}

TEST(OpenAiStream, WholeAnswersAreRead) {
  const auto answer = parse_answer(
      R"({"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"a b"},)"
      R"("finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2}})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "a b");
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->usage, (TokenUsage{4, 2, std::nullopt}));
}

TEST(OpenAiStream, WhatIsNoObjectIsRefused) {
  for (const char* bad : {"", "{", "[]", "3", "nonsense", R"({"choices":[{"text":"cut)"}) {
    EXPECT_FALSE(read_stream_event(bad)) << bad;
    EXPECT_FALSE(parse_answer(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir
