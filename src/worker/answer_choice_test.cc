#include "worker/answer_choice.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TokenId word(std::string_view text) {
  const std::vector<TokenId> tokens = encode(text);
  EXPECT_EQ(tokens.size(), 1u);
  return tokens.front();
}

struct Result {
  std::vector<std::string> shown;  // after each token
  std::string reason;
};

Result run(const SamplingFields& sampling, const std::vector<std::string>& words) {
  const StopRules rules(sampling);
  AnswerChoice choice(rules);
  Result result;
  for (size_t i = 0; i < words.size() && result.reason.empty(); ++i) {
    const AnswerChoice::Step step = choice.add(word(words[i]), i + 1 == words.size());
    result.shown.emplace_back(step.text);
    if (step.finish) result.reason = step.finish->reason;
  }
  return result;
}

SamplingFields stopping_at(std::vector<std::string> stop) {
  SamplingFields sampling;
  sampling.stop = std::move(stop);
  return sampling;
}

using Words = std::vector<std::string>;

TEST(AnswerChoice, WithoutStopsEachTokenIsShownAtOnce) {
  const Result result = run({}, {" bab", " bad"});
  EXPECT_EQ(result.shown, Words({" bab", " bad"}));
  EXPECT_EQ(result.reason, "length");
}

TEST(AnswerChoice, WhatMayBecomeAStopIsHeldBack) {
  const Result result = run(stopping_at({"bad b"}), {" bab", " bad", " dad"});
  EXPECT_EQ(result.shown, Words({"", " bab", " bad dad"}));
  EXPECT_EQ(result.reason, "length");
}

TEST(AnswerChoice, AStopAcrossTokensEndsBeforeItself) {
  const Result result = run(stopping_at({"d d", "ab bad dad"}), {" bab", " bad", " dad", " dab"});
  EXPECT_EQ(result.shown, Words({"", "", " bab ba"}));
  EXPECT_EQ(result.reason, "stop");
}

TEST(AnswerChoice, AnIncludedStopIsNotHeldBack) {
  SamplingFields sampling = stopping_at({"b ba"});
  sampling.include_stop_str_in_output = true;
  const Result result = run(sampling, {" bab", " bad", " dad"});
  EXPECT_EQ(result.shown, Words({" bab", " ba"}));
}

TEST(AnswerChoice, StopsWaitForTheMinimum) {
  SamplingFields sampling = stopping_at({"bab"});
  sampling.min_tokens = 2;
  const Result result = run(sampling, {" bab", " bab", " bab", " bab"});
  EXPECT_EQ(result.reason, "stop");
  EXPECT_EQ(result.shown.size(), 3u);
}

}  // namespace
}  // namespace kvasir
