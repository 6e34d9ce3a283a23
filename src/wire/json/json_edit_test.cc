#include "wire/json/json_edit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace kvasir {
namespace {

constexpr std::string_view kKeys[] = {"a", "b", "c"};

std::string edited(std::string_view object, std::vector<JsonEdit> edits) {
  const Result<JsonEditor> editor = JsonEditor::read(object, kKeys);
  return editor ? editor->write(edits) : "error: " + editor.error().message;
}

TEST(JsonEdit, OnlyWhatIsNamedChanges) {
  const std::string_view text =
      R"( {"x": 9007199254740993 , "a":1.0,"<b>":"\u003c<" , "b" : [1, {"a":2}]} )";
  EXPECT_EQ(edited(text, {}), text);
  EXPECT_EQ(edited(text, {{"a", "7"}}),
            R"( {"x": 9007199254740993 , "a":7,"<b>":"\u003c<" , "b" : [1, {"a":2}]} )");
  EXPECT_EQ(edited(text, {{"a", std::nullopt}, {"c", "{}"}}),
            R"( {"x": 9007199254740993,"<b>":"\u003c<" , "b" : [1, {"a":2}],"c":{}} )");
  EXPECT_EQ(edited(text, {{"c", std::nullopt}}), text) << "what is not there cannot be removed";
}

TEST(JsonEdit, CommasAreRightWhereverMembersGo) {
  const std::string_view text = R"({"a":1,"b":2,"c":3})";
  EXPECT_EQ(edited(text, {{"a", std::nullopt}}), R"({"b":2,"c":3})");
  EXPECT_EQ(edited(text, {{"b", std::nullopt}}), R"({"a":1,"c":3})");
  EXPECT_EQ(edited(text, {{"c", std::nullopt}}), R"({"a":1,"b":2})");
  EXPECT_EQ(edited(text, {{"a", std::nullopt}, {"b", std::nullopt}}), R"({"c":3})");
  EXPECT_EQ(edited(text, {{"a", std::nullopt}, {"c", std::nullopt}}), R"({"b":2})");
  EXPECT_EQ(edited(text, {{"a", std::nullopt}, {"b", std::nullopt}, {"c", std::nullopt}}), "{}");
  EXPECT_EQ(edited(R"({"a":1})", {{"a", std::nullopt}, {"b", "2"}, {"c", "3"}}),
            R"({"b":2,"c":3})");
  EXPECT_EQ(edited("{ }", {{"b", "2"}}), R"({"b":2 })");
}

TEST(JsonEdit, TheLastOfEqualKeysCountsAndIsTheOneThatIsLeft) {
  const std::string_view text = R"({"a":1,"z":0,"\u0061":2,"a":3})";
  const Result<JsonEditor> editor = JsonEditor::read(text, kKeys);
  ASSERT_TRUE(editor);
  EXPECT_EQ(editor->find("a"), "3");
  EXPECT_EQ(editor->find("b"), std::nullopt);
  EXPECT_EQ(edited(text, {{"a", "7"}}), R"({"z":0,"a":7})");
  EXPECT_EQ(edited(text, {{"a", std::nullopt}}), R"({"z":0})");
  EXPECT_EQ(edited(text, {{"b", "1"}}), R"({"a":1,"z":0,"\u0061":2,"a":3,"b":1})");
}

TEST(JsonEdit, WhatIsNoObjectIsRefused) {
  for (const std::string_view text :
       {"", "  ", "[]", "1", "{", R"({"a")", R"({"a":1)", R"({"a":1,})", R"({"a":1}})",
        R"({"a":1} x)", R"({"a":1 "b":2})"}) {
    EXPECT_EQ(edited(text, {}).substr(0, 6), "error:") << text;
  }
}

// Any object, edited in any way, holds what a tree of it would hold after the same edits.
TEST(JsonEdit, RandomEditsDoWhatATreeWouldDo) {
  std::mt19937 random(7);
  const auto below = [&random](unsigned n) { return random() % n; };
  const std::string_view keys[] = {"a", "\\u0061", "b", "c", "x", "y"};
  const std::string_view names[] = {"a", "a", "b", "c", "x", "y"};
  const std::string_view values[] = {"1", " \"}\" ", "[1,2]", "{\"a\":0}", "null"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "{";
    std::vector<std::pair<std::string, std::string>> tree;  // what counts, by key
    const auto put = [&tree](std::string_view key, std::string_view value) {
      std::erase_if(tree, [key](const auto& member) { return member.first == key; });
      tree.emplace_back(key, value);
    };
    const unsigned members = below(6);
    for (unsigned i = 0; i < members; ++i) {
      const unsigned key = below(6), value = below(5);
      if (i > 0) text += ",";
      if (below(2) == 0) text += " ";
      text += "\"" + std::string(keys[key]) + "\":" + std::string(values[value]);
      put(names[key], values[value]);
    }
    text += "}";
    std::vector<JsonEdit> edits;
    for (const std::string_view key : kKeys) {
      const unsigned how = below(3);
      if (how == 1) edits.push_back({key, "7"}), put(key, "7");
      if (how == 2) {
        edits.push_back({key, std::nullopt});
        std::erase_if(tree, [key](const auto& member) { return member.first == key; });
      }
    }
    const std::string got = edited(text, edits);
    std::string want = "{";
    for (const auto& [key, value] : tree) {
      want += (want.size() > 1 ? ",\"" : "\"") + key + "\":" + value;
    }
    want += "}";
    using nlohmann::json;
    ASSERT_EQ(json::parse(got), json::parse(want)) << text << " became " << got;
  }
}

}  // namespace
}  // namespace kvasir
