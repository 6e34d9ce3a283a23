#include "vllm/stream_chunks.h"

#include <gtest/gtest.h>

#include "vllm/openai_response.h"

namespace kvasir {
namespace {

const AnswerHead kCompletionHead = {AnswerKind::kCompletion, "cmpl-1", 7, "m", "f"};
const AnswerHead kChatHead = {AnswerKind::kChat, "chatcmpl-1", 7, "m", "f"};
const Usage kUsage = {3, 2, 1};

TEST(StreamChunks, ACompletionChunkIsVllms) {
  std::string events;
  ChunkDelta delta;
  delta.text = "a\"b";
  StreamChunks(kCompletionHead).append_delta(0, delta, events);
  EXPECT_EQ(events,
            "data: "
            "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","
            "\"choices\":["
            "{\"index\":0,\"text\":\"a\\\"b\",\"logprobs\":null,\"finish_reason\":null,\"stop_"
            "reason\":null,"
            "\"prompt_token_ids\":null,\"token_ids\":null}]}\n\n");
}

TEST(StreamChunks, TheLastChunkTellsWhyAndByWhom) {
  std::string events;
  const Finish finish{"stop", std::string("dd")};
  ChunkDelta delta;
  delta.finish = &finish;
  delta.last = true;
  StreamChunks(kChatHead).append_delta(1, delta, events);
  EXPECT_EQ(
      events,
      "data: "
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
      "\"choices\":[{\"index\":1,\"delta\":{\"content\":\"\"},\"logprobs\":null,\"finish_reason\":"
      "\"stop\","
      "\"stop_reason\":\"dd\",\"token_ids\":null}],\"system_fingerprint\":\"f\"}\n\n");
}

TEST(StreamChunks, UsageAlwaysTellsCachedTokens) {
  std::string events;
  StreamChunks(kCompletionHead).append_usage(Usage{3, 2, 0}, events);
  EXPECT_NE(events.find("\"usage\":{\"prompt_tokens\":3,\"total_tokens\":5,\"completion_tokens\":2,"
                        "\"prompt_tokens_details\":{\"cached_tokens\":0}}"),
            std::string::npos);
  EXPECT_NE(completion_answer(kCompletionHead, {}, Usage{3, 2, 0}).find("\"cached_tokens\":0"),
            std::string::npos);
  EXPECT_NE(chat_answer(kChatHead, {}, kUsage).find("\"cached_tokens\":1"), std::string::npos);
}

TEST(StreamChunks, TokenLogprobsHaveBothForms) {
  const std::vector<TokenLogprob> logprobs = {{" a", -0.5, {{" a", -0.5}, {" b", -1}}, 4}};
  ChunkDelta delta;
  delta.text = " a";
  delta.logprobs = &logprobs;
  std::string completion;
  StreamChunks(kCompletionHead).append_delta(0, delta, completion);
  EXPECT_NE(completion.find(
                "\"logprobs\":{\"text_offset\":[4],\"token_logprobs\":[-0.5],\"tokens\":[\" a\"],"
                "\"top_logprobs\":[{\" a\":-0.5,\" b\":-1.0}]}"),
            std::string::npos)
      << completion;
  std::string chat;
  StreamChunks(kChatHead).append_delta(0, delta, chat);
  EXPECT_NE(
      chat.find("\"logprobs\":{\"content\":[{\"token\":\" a\",\"logprob\":-0.5,\"bytes\":[32,97],"),
      std::string::npos)
      << chat;
}

}  // namespace
}  // namespace kvasir
