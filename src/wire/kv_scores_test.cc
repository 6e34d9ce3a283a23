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

}  // namespace
}  // namespace kvasir
