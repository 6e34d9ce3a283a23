#include "vllm/schema/regex_sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

TEST(RegexSample, TextsMatch) {
  for (const char* pattern : {"abc",
                              "a|b|",
                              "^[a-z]+$",
                              "[^a-zA-Z]{2,4}",
                              "\\d{3}-\\d{2}",
                              "(ab|c)*d?",
                              "\\w+@\\w+\\.com",
                              "[\\w.-]{1,5}",
                              "x{0}y",
                              "[a\\-z]",

                              "(?:a(?:b(?:c)?)?)",
                              "\\x41\\u0042",
                              "a{2}",
                              "a{,3}",
                              ".",
                              "\\S\\s\\D\\W",
                              "(a*)*",
                              "[-a]",
                              "\\$\\^\\.\\(\\)",
                              "a+?b*?"}) {
    const Result<RegexSampler> sampler = RegexSampler::create(pattern);
    ASSERT_TRUE(sampler) << pattern << ": " << sampler.error().message;
    if (std::string(pattern) == "a{,3}") continue;  // std::regex reads it otherwise
    const std::regex regex(pattern);
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::optional<std::string> text = sampler->text(seed);
      ASSERT_TRUE(text) << pattern;
      EXPECT_TRUE(std::regex_match(*text, regex)) << pattern << ": '" << *text << "'";
    }
  }
}

TEST(RegexSample, NamedGroupsAndOtherAlphabetsAreRead) {
  const Result<RegexSampler> sampler =
      RegexSampler::create("(?<year>\\d{4})(?P<x>[\xc3\xa4-\xc3\xb6])");
  ASSERT_TRUE(sampler) << sampler.error().message;
  const std::string text = sampler->text(1).value_or("");
  EXPECT_EQ(text.size(), 6u);
  EXPECT_EQ(text[4], '\xc3');
}

TEST(RegexSample, SeedsMatterAndRepeat) {
  const Result<RegexSampler> sampler = RegexSampler::create("[a-z]{8}");
  ASSERT_TRUE(sampler);
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    texts.insert(*sampler->text(seed));
    EXPECT_EQ(sampler->text(seed), sampler->text(seed));
  }
  EXPECT_EQ(texts.size(), 20u);
}

TEST(RegexSample, RefusalsSayWhy) {
  const std::pair<std::string, const char*> cases[] = {
      {"(", "not closed"},
      {")", "has no '('"},
      {"[a", "not closed"},
      {"[]", "a class is empty"},
      {"[b-a]", "backwards"},
      {"a{3,2}", "backwards"},
      {"*", "nothing stands before"},
      {"(?=a)", "look-around"},
      {"(?<!a)b", "look-around"},
      {"(?i)abc", "flags, '(?i', are not supported"},
      {"(?i-sm:a)", "flags, '(?i-sm'"},
      {"(?P=name)", "'(?P'"},
      {"(?#note)a", "a group cannot begin with '(?'"},
      {"(?", "a group cannot begin with '(?'"},
      {"(a)\\1", "\\1 is not supported"},
      {"\\bword", "\\b is not supported"},
      {"a\\", "ends in a backslash"},
      {"\\u12", "too short"},
      {"\\x4\x11", "too short"},  // a control byte is no digit
      {"(((a{1000}){1000}){1000})", "longer than"},
      {std::string(kRegexBytesMost + 1, 'a'), "longer than"},
      {std::string(100, '(') + std::string(100, ')'), "too deeply"},
  };
  for (const auto& [pattern, told] : cases) {
    const Result<RegexSampler> sampler = RegexSampler::create(pattern);
    ASSERT_FALSE(sampler) << pattern;
    EXPECT_THAT(sampler.error().message, HasSubstr(told)) << pattern;
  }
}

}  // namespace
}  // namespace kvasir
