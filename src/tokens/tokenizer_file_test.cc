#include "tokens/tokenizer_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

nlohmann::json good_file() {
  return nlohmann::json::parse(R"({
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}
  })");
}

std::string problem_with(const nlohmann::json& patch, const TokenizerLimits& limits = {}) {
  nlohmann::json file = good_file();
  file.merge_patch(patch);
  const auto read = read_tokenizer_file(file.dump(), limits);
  return read.ok() ? "" : read.error().message;
}

TEST(TokenizerFileReading, SaysWhatItDoesNotDo) {
  EXPECT_EQ(problem_with(nlohmann::json::object()), "");
  const struct {
    std::string patch;
    std::string problem;
  } cases[] = {
      {R"({"model": null})", "\"model\" is missing"},
      {R"({"model": {"type": "Unigram"}})", "its type is Unigram, not BPE"},
      {R"({"model": {"byte_fallback": true}})", "model.byte_fallback is not supported"},
      {R"({"model": {"dropout": 0.1}})", "model.dropout is not supported"},
      {R"({"model": {"end_of_word_suffix": "</w>"}})", "model.end_of_word_suffix is not supported"},
      {R"({"model": {"continuing_subword_prefix": "##"}})", "continuing_subword_prefix is not"},
      {R"({"model": {"unk_token": "?"}})", "model.unk_token is not in model.vocab"},
      {R"({"model": {"vocab": {"c": 0}}})", "or its id 0 is there twice"},
      {R"({"model": {"vocab": {"c": -1}}})", "\"c\" has no id below"},
      {R"({"model": {"vocab": {"c": 4294967295}}})", "\"c\" has no id below"},
      {R"({"model": {"vocab": []}})", "model.vocab is not an object"},
      {R"({"model": {"merges": {}}})", "model.merges is not a list"},
      {R"({"model": {"merges": ["a b", "a b c"]}})", "model.merges[1] is neither"},
      {R"({"model": {"merges": [["a"]]}})", "model.merges[0] is neither"},
      {R"({"model": {"merges": ["b a"]}})", "model.merges[0]: \"ba\" or a part of it is not in"},
      {R"({"added_tokens": [{"id": 3}]})", "added_tokens[0] has no content"},
      {R"({"normalizer": {"type": "Lowercase"}})", "normalizer: Lowercase is not supported"},
      {R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace"}]}})",
       "normalizer: Replace is not supported"},
      {R"({"normalizer": 3})", "normalizer has no type"},
      {R"({"pre_tokenizer": null})", "there is no ByteLevel"},
      {R"({"pre_tokenizer": {"type": "Metaspace"}})", "pre_tokenizer: Metaspace is not supported"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x+"}}})",
       "Split by the expression x+ is not supported"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": "x"}}})", "Split by a text"},
      {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": 1}})", "is not a list"},
      {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers":
            [{"type": "ByteLevel"}, {"type": "Digits"}]}})",
       "Digits behind ByteLevel is not supported"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": []}})",
       "post_processor.single has not the text $A once"},
      {R"({"post_processor": {"type": "TemplateProcessing", "single":
            [{"SpecialToken": {"id": "<s>"}}]}})",
       "post_processor.special_tokens has no ids of <s>"},
      {R"({"post_processor": {"type": "Other"}})", "post_processor: Other is not supported"},
  };
  for (const auto& test : cases) {
    const std::string problem = problem_with(nlohmann::json::parse(test.patch));
    EXPECT_NE(problem.find(test.problem), std::string::npos) << test.patch << ": " << problem;
  }
}

// As the library does, whatever ids the file says.
TEST(TokenizerFileReading, AddedTokensAreNumberedBehindTheVocabulary) {
  nlohmann::json file = good_file();
  file["added_tokens"] = nlohmann::json::parse(R"([
    {"id": 50, "content": "ab"}, {"id": 77, "content": "c"}, {"id": 1, "content": "c"},
    {"id": 3, "content": "d", "special": true}])");
  const auto read = read_tokenizer_file(file.dump(), {});
  ASSERT_TRUE(read.ok()) << read.error().message;
  std::string seen;
  for (const AddedToken& token : read.value().added_tokens) {
    seen.append(token.text + "=" + std::to_string(token.id) + " ");
  }
  EXPECT_EQ(seen, "d=4 ab=2 c=3 ");
}

TEST(TokenizerFileReading, WhatIsNoJsonIsRefused) {
  for (const std::string text : {"", "[]", "{", "{\"model\":{}} x", "\xff"}) {
    const auto read = read_tokenizer_file(text, {});
    ASSERT_FALSE(read.ok()) << text;
  }
  EXPECT_NE(read_tokenizer_file("[]", {}).error().message.find("not a JSON object"),
            std::string::npos);
}

TEST(TokenizerFileReading, EveryLimitHolds) {
  const auto limited = [](auto TokenizerLimits::*limit, size_t most) {
    TokenizerLimits limits;
    limits.*limit = most;
    return limits;
  };
  const nlohmann::json more = nlohmann::json::parse(R"({
    "model": {"vocab": {"ba": 3}, "merges": ["a b", "b a"]},
    "added_tokens": [{"id": 4, "content": "c"}, {"id": 5, "content": "d"}],
    "post_processor": {"type": "TemplateProcessing", "single":
      [{"SpecialToken": {"id": "c"}}, {"SpecialToken": {"id": "c"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"c": {"ids": [4]}}}})");
  const struct {
    size_t TokenizerLimits::*limit;
    size_t enough;
  } cases[] = {{&TokenizerLimits::vocabulary, 6},   {&TokenizerLimits::merges, 2},
               {&TokenizerLimits::added_tokens, 2}, {&TokenizerLimits::token_bytes, 2},
               {&TokenizerLimits::splits, 1},       {&TokenizerLimits::template_tokens, 2}};
  for (const auto& test : cases) {
    EXPECT_EQ(problem_with(more, limited(test.limit, test.enough)), "");
    EXPECT_NE(problem_with(more, limited(test.limit, test.enough - 1)), "");
  }
  EXPECT_NE(problem_with(nlohmann::json::object(), limited(&TokenizerLimits::file_bytes, 10)), "");
}

}  // namespace
}  // namespace kvasir
