#include "wire/yaml/yaml.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

Value good(std::string_view text) {
  auto parsed = parse_yaml(text);
  const Remark* problem = std::get_if<Remark>(&parsed);
  EXPECT_EQ(problem, nullptr) << text << "\n" << (problem != nullptr ? to_string(*problem) : "");
  return problem != nullptr ? Value() : std::get<Value>(std::move(parsed));
}

std::string problem_in(std::string_view text) {
  auto parsed = parse_yaml(text);
  const Remark* problem = std::get_if<Remark>(&parsed);
  return problem != nullptr ? to_string(*problem) : "no problem";
}

TEST(Yaml, ScalarsFollowTheCoreRulesOfYaml12) {
  for (const char* text : {"yes", "on", "5s", "1e", "0x", "0o8", ".", "1.2.3", "1_000", "\"5\"",
                           "'true'", "!!str 7"}) {
    const Value value = good(std::string("k: ") + text);
    EXPECT_NE(value.find("k")->text(), nullptr) << text;
  }
  for (const char* text : {"", "~", "null", "NULL"})
    EXPECT_TRUE(good(std::string("k: ") + text).find("k")->is_null());
  EXPECT_TRUE(*good("k: True").find("k")->boolean());
  const struct {
    const char* text;
    int64_t value;
  } whole[] = {{"7", 7}, {"-7", -7}, {"+7", 7}, {"0x1F", 31}, {"0o17", 15}, {"007", 7}};
  for (const auto& one : whole)
    EXPECT_EQ(*good(std::string("k: ") + one.text).find("k")->integer(), one.value);
  const struct {
    const char* text;
    double value;
  } real[] = {{"0.5", 0.5}, {".5", 0.5}, {"+1.", 1}, {"1e3", 1000}, {"-2.5E-1", -0.25}};
  for (const auto& one : real) {
    const Value value = good(std::string("k: ") + one.text);
    EXPECT_EQ(value.find("k")->integer(), nullptr) << one.text;
    EXPECT_EQ(value.find("k")->number(), one.value) << one.text;
  }
}

TEST(Yaml, ValuesKnowTheirLines) {
  const Value value = good("a: 1\nb:\n  - x\n  - y: 2\n");
  EXPECT_EQ(value.find("a")->line(), 1);
  const Value::List& list = *value.find("b")->list();
  EXPECT_EQ(list[0].line(), 3);
  EXPECT_EQ(list[1].find("y")->line(), 4);
}

TEST(Yaml, JsonIsYaml) {
  const Value value = good("{\"a\": [1, 2.5, true, null, \"x\"],\n \"b\": {}}");
  EXPECT_EQ(value.find("a")->list()->size(), 5u);
  EXPECT_EQ(value.find("b")->map()->size(), 0u);
}

TEST(Yaml, AnchorsStandForTheirValues) {
  const Value value = good("a: &x {n: 1}\nb: *x\n");
  EXPECT_EQ(*value.find("b")->find("n")->integer(), 1);
}

TEST(Yaml, MergeKeysBringTheEntriesOfOtherMaps) {
  const Value value = good(R"(
labels: &labels {app: vllm, tier: "1"}
more: &more {tier: "2", zone: a}
one: {<<: *labels}
over: {tier: "0", <<: *labels, role: decode}
two: {<<: [*labels, *more]}
twice: &twice
  <<: *more
  <<: *labels
again: {<<: *twice}
quoted: {"<<": x}
)");
  const auto text = [&](const char* map, const char* key) {
    const Value* found = value.find(map)->find(key);
    return found != nullptr && found->text() != nullptr ? *found->text() : std::string("none");
  };
  EXPECT_EQ(value.find("one")->map()->size(), 2u);
  EXPECT_EQ(text("one", "app"), "vllm");
  EXPECT_EQ(value.find("over")->map()->size(), 3u);
  EXPECT_EQ(text("over", "tier"), "0");
  EXPECT_EQ(text("over", "app"), "vllm");
  EXPECT_EQ(text("two", "tier"), "1");
  EXPECT_EQ(text("two", "zone"), "a");
  EXPECT_EQ(text("again", "tier"), "2");
  EXPECT_EQ(text("again", "app"), "vllm");
  EXPECT_EQ(text("quoted", "<<"), "x");
}

TEST(Yaml, BinaryIsTextInBase64) {
  EXPECT_EQ(*good("k: !!binary |\n  aGVs\n  bG8=\n").find("k")->text(), "hello");
}

TEST(Yaml, DocumentsFollowEachOther) {
  const auto parsed =
      parse_yaml_documents("---\na: 1\n---\n# nothing\n---\n- &x b\n- *x\n...\n---\n");
  ASSERT_TRUE(std::holds_alternative<std::vector<Value>>(parsed));
  const auto& documents = std::get<std::vector<Value>>(parsed);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].find("a")->line(), 2);
  EXPECT_EQ(documents[1].line(), 6);
  EXPECT_EQ(*(*documents[1].list())[1].text(), "b");
}

TEST(Yaml, WordsOfDocumentsAreBooleansAsKubectlReadsThem) {
  const auto parsed = parse_yaml_documents("[yes, Y, On, no, n, OFF, yEs, 'yes', !!str no]");
  ASSERT_TRUE(std::holds_alternative<std::vector<Value>>(parsed));
  const Value::List& list = *std::get<std::vector<Value>>(parsed).at(0).list();
  ASSERT_EQ(list.size(), 9u);
  for (size_t i = 0; i < 6; ++i) {
    ASSERT_NE(list[i].boolean(), nullptr) << i;
    EXPECT_EQ(*list[i].boolean(), i < 3) << i;
  }
  for (size_t i = 6; i < 9; ++i) EXPECT_NE(list[i].text(), nullptr) << i;
}

TEST(Yaml, ProblemsOfLaterDocumentsHaveTheirLine) {
  const struct {
    const char* text;
    const char* problem;
  } cases[] = {
      {"a: &x 1\n---\nb: *x\n", "line 3: not YAML: the referenced anchor is not defined"},
      {"a: &x {}\n---\nb: &y\n  c: *y\n", "line 4: an alias inside the value that it stands for"},
      {"a: 1\n---\nb: 1\nb: 2\n", "line 4: the key 'b' stands twice in one map"},
      {"a: 1\n---\nb: [\n", "line 4: not YAML: end of sequence flow not found"},
  };
  for (const auto& test : cases) {
    const auto parsed = parse_yaml_documents(test.text);
    const Remark* problem = std::get_if<Remark>(&parsed);
    ASSERT_NE(problem, nullptr) << test.text;
    EXPECT_EQ(to_string(*problem), test.problem) << test.text;
  }
}

TEST(Yaml, AnEmptyTextIsNothing) {
  for (const char* text : {"", "# only words\n", "---\n", "--- \n---\n"})
    EXPECT_TRUE(good(text).is_null()) << text;
  EXPECT_TRUE(good("---\na: 1\n---\n").find("a") != nullptr);
}

TEST(Yaml, ProblemsAreToldWithTheirLine) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"a: 1\na: 2\n", "line 2: the key 'a' stands twice in one map"},
      {"a: 1\n---\nb: 2\n", "line 2: a second document begins; a file holds one configuration"},
      {"a: 1\nb: .inf\n", "line 2: .inf is no finite number"},
      {"a: 1e999\n", "line 1: the number 1e999 is out of range"},
      {"a: 9223372036854775808\n", "line 1: the number 9223372036854775808 does not fit 64 bits"},
      {"a: 1\n[x]: 2\n", "line 2: a key must be a text, not a list or a map"},
      {"~: 2\n", "line 1: a key must be a text, not nothing"},
      {"a: !thing 2\n", "line 1: the tag !thing is not known here"},
      {"a: 1\nb: {<<: 7}\n", "line 2: '<<' takes a map or a list of maps, not a number"},
      {"a: &x 1\nb: {<<: [{}, *x]}\n", "line 2: '<<' takes a map or a list of maps, not a number"},
      {"a: {<<: }\n", "line 1: '<<' takes a map or a list of maps, not nothing"},
      {"a: 1\nb: !!binary x y\n", "line 2: !!binary must be base64 of a text"},
      {"a: !!binary /w==\n", "line 1: !!binary must be base64 of a text"},
      {"a: &x [*x]\n", "line 1: an alias inside the value that it stands for"},
  };
  for (const auto& bad : cases) EXPECT_EQ(problem_in(bad.text), bad.message) << bad.text;
  EXPECT_EQ(problem_in("a: 1\nb: [1, 2\nc: 3\n").substr(0, 5), "line ");
  EXPECT_EQ(problem_in(std::string_view("a: 1\nb: \0\n", 10)),
            "line 2: a zero byte; this is no text in UTF-8");
}

TEST(Yaml, WhatGrowsBeyondTheLimitsIsRefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += (j > 0 ? ", " : "") + below;
    bomb += "]\n";
  }
  EXPECT_NE(problem_in(bomb).find("more than 20000 values"), std::string::npos);
  const std::string deepest = std::string(kYamlDepthMost, '[') + std::string(kYamlDepthMost, ']');
  EXPECT_EQ(problem_in(deepest), "no problem");
  EXPECT_NE(problem_in("[" + deepest + "]").find("deeper than 64"), std::string::npos);
  EXPECT_NE(problem_in(std::string(100'000, '[')), "no problem");
  EXPECT_NE(problem_in(std::string(kYamlBytesMost + 1, ' ')).find("longer than"),
            std::string::npos);
}

}  // namespace
}  // namespace kvasir
