#include "handoff/threshold_look.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using Verdict = ThresholdLook::Verdict;

Verdict of_stream(std::string_view stream, size_t piece = 7) {
  ThresholdLook look(true);
  for (size_t at = 0; at < stream.size(); at += piece) {
    const Verdict verdict = look.feed(stream.substr(at, piece));
    if (verdict != Verdict::kUndecided) return verdict;
  }
  return look.end();
}

constexpr std::string_view kRole =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
    "\"finish_reason\":null}]}\n\n";

TEST(ThresholdLook, AStreamSaysItBeforeAnyText) {
  const std::string below =
      "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"cache_threshold\"}]}\n\n";
  EXPECT_EQ(of_stream(below), Verdict::kBelow);
  EXPECT_EQ(of_stream(std::string(kRole) + below), Verdict::kBelow);
  EXPECT_EQ(
      of_stream(std::string(kRole) +
                "data: {\"choices\":[{\"delta\":{\"content\":\"cache_threshold\"}}]}\n\n" + below),
      Verdict::kAnswer);
  EXPECT_EQ(of_stream("data: {\"error\":{\"message\":\"m\"}}\n\n" + below), Verdict::kAnswer);
  EXPECT_EQ(of_stream("data: [DONE]\n\n"), Verdict::kAnswer);
  EXPECT_EQ(of_stream("data: no JSON\n\n"), Verdict::kAnswer);
  EXPECT_EQ(of_stream(""), Verdict::kAnswer);
  std::string empty_ones;
  for (size_t i = 0; i < ThresholdLook::kEventsMost; ++i) empty_ones += kRole;
  EXPECT_EQ(of_stream(empty_ones + below), Verdict::kAnswer) << "the client does not wait for ever";
}

TEST(ThresholdLook, AnAnswerIsReadAsAWhole) {
  const auto of_answer = [](std::string_view answer) {
    ThresholdLook look(false);
    EXPECT_EQ(look.feed(answer.substr(0, 5)), Verdict::kUndecided);
    EXPECT_EQ(look.feed(answer.substr(5)), Verdict::kUndecided);
    return look.end();
  };
  EXPECT_EQ(of_answer(R"({"choices":[{"text":"","finish_reason":"cache_threshold"}]})"),
            Verdict::kBelow);
  EXPECT_EQ(of_answer(R"({"choices":[{"text":"cache_threshold","finish_reason":"stop"}]})"),
            Verdict::kAnswer);
  EXPECT_EQ(of_answer("no JSON"), Verdict::kAnswer);
  ThresholdLook look(false);
  EXPECT_EQ(look.feed(std::string(ThresholdLook::kAnswerBytesMost + 1, ' ')), Verdict::kAnswer);
}

}  // namespace
}  // namespace kvasir
