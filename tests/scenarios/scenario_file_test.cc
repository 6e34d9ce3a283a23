// The scenarios' reader and player tell an operator what is wrong.
#include "scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenario_player.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::string said(const std::vector<Remark>& remarks) {
  std::string text;
  for (const Remark& remark : remarks) text += to_string(remark) + "\n";
  return text;
}

std::string problems_of(const std::string& text) {
  const auto read = read_scenario(text, ".");
  const auto* problems = std::get_if<std::vector<Remark>>(&read);
  return problems != nullptr ? said(*problems) : said(play(std::get<Scenario>(read)));
}

constexpr const char* kHead =
    "about: test\n"
    "endpoints:\n"
    "  a: {waiting: 4}\n"
    "  b: {waiting: 1}\n"
    "  c: {}\n"
    "config: |\n"
    "  plugins: [{type: queue-scorer}]\n"
    "steps:\n";

TEST(ScenarioFile, WhatIsWrittenWrongIsAnErrorWithItsLine) {
  const struct {
    const char* steps;
    const char* problem;
  } cases[] = {
      {"- {request: r, goes_too: a}\n",
       "line 9: step: unknown key 'goes_too'; did you mean 'goes_to'?"},
      {"- {request: r, goes_to: d}\n", "line 9: there is no endpoint 'd'"},
      {"- {request: r, scores: {a: high}}\n", "line 9: scores: a must be a number"},
      {"- {goes_to: a}\n", "line 9: step: it is none of request, burst,"},
      {"- {advance: soon}\n", "line 9: step: advance"},
      {"- {burst: 3}\n", "line 9: step: burst must have a spread"},
      {"- {end: r}\n", "line 9: no request r is running"},
      {"- {retry: r, goes_to: a}\n", "line 9: no request r is running"},
      {"- {metrics: {a: {wating: 1}}}\n",
       "line 9: a: unknown key 'wating'; did you mean 'waiting'?"},
      {"- {health: {a: 1}}\n", "line 9: health: must be true or false"},
      {"- {request: r, prompt: {x: y}}\n", "line 9: prompt: x must be a number of blocks"},
      {"[]\n", "steps: there are none"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(problems_of(std::string(kHead) + one.steps), HasSubstr(one.problem));
  }
}

TEST(ScenarioFile, AWrongExpectationShowsWhatCameAndEveryScore) {
  const struct {
    const char* step;
    const char* problem;
  } cases[] = {
      {"- {request: r, goes_to: a}\n",
       "line 9: request r: goes_to: got c, expected a\n    scores: a 0; b 0.75; c 1;"},
      {"- {request: r, goes_to: [a, b]}\n", "got c, expected a, b"},
      {"- {request: r, fallbacks: [a]}\n", "fallbacks: got none, expected a"},
      {"- {request: r, prefill: a}\n", "prefill: got none, expected a"},
      {"- {request: r, score: 1.00001}\n", "score: got 1, expected 1.00001"},
      {"- {request: r, scores: {a: 0, b: 0.5, c: 1}}\n", "scores: b: got 0.75, expected 0.5"},
      {"- {request: r, scores: {a: 0, b: 0.75}}\n", "scores: c: got 1, expected no candidate"},
      {"- {request: r, subset: [b], scores: {a: 0, b: 1}}\n",
       "scores: a: got no score, it was no candidate, expected 0"},
      {"- {request: r, refused: filtered}\n", "refused: got no, it went to c, expected filtered"},
      {"- {request: r, subset: []}\n", "refused: got no-endpoints, expected an endpoint"},
      {"- {request: r, cached_tokens: 1}\n", "cached_tokens: got 0, expected 1"},
      {"- {burst: 2, spread: {a: 1, c: 1}}\n", "burst: a got 0 requests, expected 1"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(problems_of(std::string(kHead) + one.step), HasSubstr(one.problem));
  }
  EXPECT_EQ(problems_of(std::string(kHead) + "- {request: r, goes_to: c, score: 1}\n"), "");
}

TEST(ScenarioFile, AConfigurationThatDoesNotWorkIsTold) {
  const std::string head =
      "about: test\nendpoints: {a: {}}\nconfig: |\n  plugins: [{type: queue-skorer}]\n";
  EXPECT_THAT(problems_of(head + "steps: [{request: r}]\n"),
              HasSubstr("the configuration is wrong: config:1: plugins: type 'queue-skorer' does "
                        "not exist; did you mean 'queue-scorer'?"));
  EXPECT_THAT(problems_of(head + "config_problem: nonsense\n"), HasSubstr("expected 'nonsense'"));
  EXPECT_EQ(problems_of(head + "config_problem: queue-skorer\n"), "");
}

}  // namespace
}  // namespace kvasir
