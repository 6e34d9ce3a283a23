#include "wire/json/json_value.h"

#include <gtest/gtest.h>

#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

Value json_value(std::string_view text) {
  EXPECT_TRUE(is_json(text)) << text;
  auto parsed = parse_json_value(text, 1000);
  const Remark* problem = std::get_if<Remark>(&parsed);
  EXPECT_EQ(problem, nullptr) << to_string(*problem);
  return problem != nullptr ? Value() : std::get<Value>(std::move(parsed));
}

std::string json_problem(const std::string& text) {
  EXPECT_TRUE(is_json(text)) << text;
  const auto parsed = parse_json_value(text, 100);
  const Remark* problem = std::get_if<Remark>(&parsed);
  return problem != nullptr ? to_string(*problem) : "no problem";
}

TEST(JsonValue, ValuesKnowTheirLines) {
  const Value value =
      json_value("{\"a\": 1,\n \"b\":\n  [\"x\",\n\n   {\"y\": 2.5}], \"c\": null, \"d\": true}");
  EXPECT_EQ(value.line(), 1);
  EXPECT_EQ(*value.find("a")->integer(), 1);
  EXPECT_EQ(value.find("b")->line(), 3);
  const Value::List& list = *value.find("b")->list();
  EXPECT_EQ(*list[0].text(), "x");
  EXPECT_EQ(list[1].line(), 5);
  EXPECT_EQ(list[1].find("y")->number(), 2.5);
  EXPECT_TRUE(value.find("c")->is_null());
  EXPECT_TRUE(*value.find("d")->boolean());
}

TEST(JsonValue, TabsAndSurrogatesAreJson) {
  const Value value = json_value("{\t\"a\":\t\"\\ud83d\\ude00\\u00e9\\n\" }");
  EXPECT_EQ(*value.find("a")->text(), "\xf0\x9f\x98\x80\xc3\xa9\n");
}

TEST(JsonValue, EmptyContainersAreThemselves) {
  EXPECT_TRUE(json_value("{}").map()->empty());
  EXPECT_TRUE(json_value(" [ ] ").list()->empty());
  EXPECT_EQ(json_value("[[],[{}]]").list()->size(), 2u);
}

TEST(JsonValue, ProblemsHaveTheirLine) {
  EXPECT_EQ(json_problem("{\"a\":1,\n\"a\":2}"), "line 2: the key 'a' stands twice in one map");
  EXPECT_EQ(json_problem("[1,\n18446744073709551615]"),
            "line 2: the number 18446744073709551615 does not fit 64 bits");
  EXPECT_EQ(json_problem(std::string(65, '[') + std::string(65, ']')),
            "line 1: lists and maps nest deeper than 64");
  EXPECT_EQ(json_problem(std::string(64, '[') + std::string(64, ']')), "no problem");
  std::string many = "[0";
  for (int i = 0; i < 100; ++i) many += ",\n0";
  EXPECT_EQ(json_problem(many + "]"), "line 100: more than 100 values");
}

TEST(JsonValue, WhatIsNoJsonIsTold) {
  for (const char* text : {"", "{", "{a: 1}", "[1,]", "'a'", "{\"a\":1}{}", "\"\xff\"", "nul", "01",
                           "# a comment\n{}"}) {
    EXPECT_FALSE(is_json(text)) << text;
  }
}

}  // namespace
}  // namespace kvasir
