#include "handoff/first_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

constexpr std::string_view kCompletion =
    R"({"id":"cmpl-1","created":7,"model":"m","choices":[{"text":"He\u006clo","finish_reason":"length"}]})";

std::string told(std::string_view text, std::string_view finish = "null") {
  return "data: {\"choices\":[{\"text\":\"" + std::string(text) +
         "\",\"finish_reason\":" + std::string(finish) + "}]}\n\n";
}

// What goes on of a stream that comes in pieces; nullopt: it says something else.
std::optional<std::string> goes_on(const std::string& stream, size_t piece,
                                   std::string_view answer = kCompletion,
                                   RequestApi api = RequestApi::kCompletions) {
  std::optional<FirstToken> first = FirstToken::read(api, answer);
  std::string out;
  for (size_t at = 0; at < stream.size(); at += piece) {
    const auto more = first->feed(std::string_view(stream).substr(at, piece));
    if (!more) return std::nullopt;
    out += *more;
  }
  return out + std::string(first->rest());
}

TEST(FirstToken, IsSentOnceAndTheDecodersRepetitionIsDropped) {
  const auto first = FirstToken::read(RequestApi::kCompletions, kCompletion);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->events(),
            "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","
            "\"choices\":[{\"index\":0,\"text\":\"Hello\",\"finish_reason\":null}]}\n\n");
  const std::string rest = told(" world") + told("Hello") + "data: [DONE]\n\n";
  for (size_t piece = 1; piece < 200; piece += 7) {
    EXPECT_EQ(goes_on(told("Hello") + rest, piece), rest) << piece;
    EXPECT_EQ(goes_on(told("He") + told("llo") + rest, piece), rest) << "in two events";
    EXPECT_EQ(goes_on(": comment\n\n" + told("Hello") + rest, piece), ": comment\n\n" + rest);
    EXPECT_EQ(goes_on(told("Hello wor") + rest, piece),
              "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,"
              "\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\" wor\","
              "\"finish_reason\":null}]}\n\n" +
                  rest)
        << "two tokens in one event";
    EXPECT_EQ(goes_on(told("Hello", "\"length\"") + "data: [DONE]\n\n", piece),
              "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,"
              "\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"\","
              "\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n")
        << "and it was all";
    EXPECT_EQ(goes_on("data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n", piece),
              "data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n");
  }
}

TEST(FirstToken, OfAChatComesBehindTheRole) {
  constexpr std::string_view kChat =
      R"({"id":"c","created":7,"model":"m","choices":[{"message":{"role":"assistant","content":"Hi"},)"
      R"("finish_reason":"length"}]})";
  const auto first = FirstToken::read(RequestApi::kChatCompletions, kChat);
  ASSERT_TRUE(first);
  EXPECT_THAT(
      first->events(),
      ::testing::AllOf(
          ::testing::HasSubstr(R"("delta":{"role":"assistant","content":""})"),
          ::testing::EndsWith("\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n")));
  const std::string rest = "data: {\"choices\":[{\"delta\":{\"content\":\" there\"}}]}\n\n";
  EXPECT_EQ(
      goes_on("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
              "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n" +
                  rest,
              11, kChat, RequestApi::kChatCompletions),
      rest);
}

TEST(FirstToken, AnotherTokenIsNotGoneOnWith) {
  EXPECT_EQ(goes_on(told("Hallo"), 9), std::nullopt);
  EXPECT_EQ(goes_on(told("He", "\"stop\""), 9), std::nullopt) << "it ends before";
  EXPECT_EQ(goes_on("data: no JSON\n\n", 9), std::nullopt);
}

TEST(FirstToken, OfWhatEndsOrIsHalfACharacterThereIsNone) {
  for (const char* answer : {"no JSON", "{}", R"({"choices":[]})",
                             R"({"choices":[{"text":"","finish_reason":"length"}]})",
                             R"({"choices":[{"text":"a","finish_reason":"stop"}]})",
                             R"({"choices":[{"text":null,"finish_reason":"length"}]})",
                             R"({"choices":[{"text":"\ufffd","finish_reason":"length"}]})"}) {
    EXPECT_FALSE(FirstToken::read(RequestApi::kCompletions, answer)) << answer;
  }
  EXPECT_FALSE(FirstToken::read(
      RequestApi::kChatCompletions,
      R"({"choices":[{"message":{"content":null,"reasoning":"x"},"finish_reason":"length"}]})"));
}

}  // namespace
}  // namespace kvasir
