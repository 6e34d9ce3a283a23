#include "wire/json/json_cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "wire/json/json_plain_text.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

std::vector<std::pair<std::string, std::string>> members_of(std::string_view object,
                                                            bool malformed = false) {
  std::vector<std::pair<std::string, std::string>> found;
  JsonMembers members(object);
  while (members.next()) found.emplace_back(members.key(), members.value());
  EXPECT_EQ(members.malformed(), malformed) << object;
  return found;
}

std::vector<std::string> elements_of(std::string_view array) {
  std::vector<std::string> found;
  JsonElements elements(array);
  while (elements.next()) found.emplace_back(elements.value());
  return found;
}

TEST(JsonMembers, AreFoundAsTheyStand) {
  EXPECT_THAT(members_of("{}"), ElementsAre());
  EXPECT_THAT(members_of(" { } ", true), ElementsAre());  // begins with the brace
  EXPECT_THAT(members_of("{ }"), ElementsAre());
  EXPECT_THAT(members_of(R"({"a":1})"), ElementsAre(Pair("a", "1")));
  EXPECT_THAT(members_of("{ \"a\" :\t-1.5e3 ,\n\"b\": [1, {\"c\": \"]}\"}] }more"),
              ElementsAre(Pair("a", "-1.5e3"), Pair("b", "[1, {\"c\": \"]}\"}]")));
  EXPECT_THAT(members_of(R"({"\u0061\"b":"x\\","a":null,"a":NaN})"),
              ElementsAre(Pair("a\"b", R"("x\\")"), Pair("a", "null"), Pair("a", "NaN")));
}

TEST(JsonMembers, SayWhetherATextHasEscapes) {
  for (size_t before = 0; before < 200; ++before) {
    const std::string pad(before, 'p');
    for (const bool plain : {false, true}) {
      const std::string object = "{\"k\\n\":\"" + pad + (plain ? "" : "\\n") + pad + "\"}";
      JsonMembers members(object);
      ASSERT_TRUE(members.next());
      EXPECT_EQ(members.value_is_plain(), plain) << before;
    }
  }
}

TEST(JsonMembers, WhatIsCutOrAmissEndsTheWalk) {
  for (const char* text : {"",
                           "[]",
                           "{",
                           R"({"a")",
                           R"({"a":)",
                           R"({"a":1)",
                           R"({"a" 1})",
                           R"({"a":1,})",
                           R"({"a":1 "b":2})",
                           R"({a:1})",
                           R"({"a":@})",
                           R"({"a":x})",
                           R"({"a":nul})",
                           R"({"a":-})",
                           R"({"a":"x)",
                           R"({"a":"x\)",
                           R"({"a":"x\")",
                           R"({"a":[1})",
                           R"({"a":{"b":1})",
                           "{\"a\":\"x\ny\"}",
                           "{\"a\nb\":1}"}) {
    JsonMembers members(text);
    while (members.next()) {
    }
    EXPECT_TRUE(members.malformed()) << text;
  }
}

TEST(JsonElements, AreFoundAsTheyStand) {
  EXPECT_THAT(elements_of("[]"), ElementsAre());
  EXPECT_THAT(elements_of("[ ]"), ElementsAre());
  EXPECT_THAT(elements_of("[ 1 ,\"a,b\", [2,3],{}]"), ElementsAre("1", "\"a,b\"", "[2,3]", "{}"));
  EXPECT_THAT(elements_of("[1,"), ElementsAre("1"));
  EXPECT_THAT(elements_of("{}"), ElementsAre());
}

// Where lanes of bytes meet, nothing is missed.
TEST(JsonCursor, FindsEndsAtAnyDistance) {
  for (size_t before = 0; before < 70; ++before) {
    const std::string pad(before, 'p');
    EXPECT_THAT(members_of("{\"k\":\"" + pad + "\",\"x\":1}"),
                ElementsAre(Pair("k", "\"" + pad + "\""), Pair("x", "1")));
    EXPECT_THAT(members_of("{\"k\":\"" + pad + "\\\"\",\"x\":1}"),
                ElementsAre(Pair("k", "\"" + pad + "\\\"\""), Pair("x", "1")));
    const std::string deep =
        "[" + std::string(before, '[') + "\"]\"" + std::string(before, ']') + "]";
    EXPECT_THAT(members_of("{\"k\":" + deep + ",\"x\":1}"),
                ElementsAre(Pair("k", deep), Pair("x", "1")));
    members_of("{\"k\":\"" + pad + "\x01\"}", true);
    EXPECT_EQ(json_space(pad + " x"), before);
    EXPECT_EQ(json_space(pad), before);
  }
}

// Any byte may be the first that a reader must look at, and any of the bytes that must stop it
// does.
TEST(PlainJsonText, StopsBeforeWhatMustBeLookedAt) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool special = byte < 0x20 || byte == '"' || byte == '\\';
    for (const size_t at :
         {size_t{0}, size_t{1}, size_t{31}, size_t{32}, size_t{63}, size_t{64}, size_t{200}}) {
      std::string text(320, 'p');
      text[at] = static_cast<char>(byte);
      const size_t expected = special ? at / kJsonPlainBlock * kJsonPlainBlock : 320;
      EXPECT_EQ(plain_json_text(text), expected) << byte << " at " << at;
    }
  }
  for (size_t size = 0; size < 200; ++size) {
    EXPECT_EQ(plain_json_text(std::string(size, 'p')), size / kJsonPlainBlock * kJsonPlainBlock);
  }
}

TEST(PlainJsonNumbers, StopsBeforeWhatMustBeLookedAt) {
  for (const size_t size : {0u, 63u, 64u, 127u, 128u, 200u}) {
    for (int byte = 0; byte < 256; ++byte) {
      for (size_t at = 0; at < size; at += 7) {
        std::string text(size, ',');
        text[at] = static_cast<char>(byte);
        const bool stops = byte > ':' || byte == '"';
        const size_t whole = (stops ? at : size) / kJsonPlainBlock * kJsonPlainBlock;
        ASSERT_EQ(plain_json_numbers(text), whole) << size << " " << byte << " at " << at;
      }
    }
  }
}

// Against a reader that goes byte by byte.
TEST(JsonCursor, SkipsContainersAsANaiveReaderDoes) {
  const auto naive_end = [](std::string_view text) -> size_t {
    size_t depth = 0;
    bool in_string = false, escaped = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const char byte = text[i];
      if (in_string) {
        if (byte >= 0 && byte < 0x20) return 0;
        if (!escaped && byte == '"') in_string = false;
        escaped = !escaped && byte == '\\';
      } else if (byte == '"') {
        in_string = true;
        escaped = false;
      } else if (byte == '{' || byte == '[') {
        ++depth;
      } else if ((byte == '}' || byte == ']') && --depth == 0) {
        return i + 1;
      }
    }
    return 0;
  };
  Random random(3);
  const auto any_of = [&random](const std::vector<std::string>& choices) {
    return choices[random.below(choices.size())];
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "[";
    const size_t size = random.below(200);
    while (text.size() < size) {
      text += any_of({"[", "]", "{", "}", ", ", "12", "\"", std::string(70, '7')});
      if (text.back() != '"') continue;
      while (random.below(8) != 0) text += any_of({"a", "\\\\", "\\\"", "[", "}", "\xc3"});
      if (random.below(50) == 0) text += any_of({"\x01", ""});  // not closed, or broken
      if (random.below(50) == 0) break;
      text += "\"";
    }
    text += round % 2 == 0 ? "]]]]]]]]]]]]]]]]" : "";
    const size_t end = naive_end(text);
    JsonCursor cursor(text);
    const auto value = cursor.value();
    ASSERT_EQ(value ? value->size() : 0, end) << text;
  }
}

TEST(JsonCursor, DeepNestingTakesNoStack) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_EQ(members_of("{\"k\":" + deep + "}").front().second.size(), deep.size());
}

TEST(JsonUnescaped, GivesTheCharacters) {
  const struct {
    std::string_view raw, text;
  } cases[] = {
      {"plain", "plain"},
      {R"(\"\\\/\b\f\n\r\t)", "\"\\/\b\f\n\r\t"},
      {R"(a\u0041\u00e9\u20ac\ud83d\ude00z)", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"},
      {R"(\uD83D)", "\xed\xa0\xbd"},  // on its own
      {R"(\ud83d\u0041)",
       "\xed\xa0\xbd"
       "A"},                                   // and before another character
      {R"(\x\u12g4\u12)", R"(\x\u12g4\u12)"},  // not escapes
      {"a\\", "a\\"},
  };
  for (const auto& test : cases) EXPECT_EQ(json_unescaped(test.raw), test.text) << test.raw;
}

}  // namespace
}  // namespace kvasir
