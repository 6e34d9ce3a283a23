#include "vllm/python_json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvasir {
namespace {

// Without keeping values the same is found.
void expect_equal_check(std::string_view text, const std::variant<JsonValue, JsonFailure>& result) {
  const JsonCheck check = check_python_json(text);
  const JsonFailure* failure = std::get_if<JsonFailure>(&result);
  ASSERT_EQ(check.failure.has_value(), failure != nullptr) << text;
  if (failure == nullptr) {
    EXPECT_EQ(check.is_null, std::get<JsonValue>(result).is_null()) << text;
    return;
  }
  EXPECT_EQ(check.failure->kind, failure->kind) << text;
  EXPECT_EQ(check.failure->position, failure->position) << text;
  EXPECT_EQ(check.failure->message, failure->message) << text;
}

JsonValue parsed(std::string_view text) {
  auto result = parse_python_json(text);
  expect_equal_check(text, result);
  const JsonFailure* failure = std::get_if<JsonFailure>(&result);
  EXPECT_EQ(failure, nullptr) << text << ": " << (failure == nullptr ? "" : failure->message);
  return failure == nullptr ? std::get<JsonValue>(std::move(result)) : JsonValue();
}

JsonFailure failed(std::string_view text) {
  auto result = parse_python_json(text);
  expect_equal_check(text, result);
  EXPECT_TRUE(std::holds_alternative<JsonFailure>(result)) << text;
  return std::holds_alternative<JsonFailure>(result) ? std::get<JsonFailure>(result)
                                                     : JsonFailure();
}

TEST(PythonJson, ErrorsStandWherePythonSeesThem) {
  struct Case {
    std::string_view text;
    size_t position;
    std::string_view message;
  };
  const Case cases[] = {
      {"", 0, "Expecting value"},
      {" \n ", 3, "Expecting value"},
      {"{", 1, "Expecting property name enclosed in double quotes"},
      {"[1,]", 3, "Expecting value"},
      {"{\"a\":1,}", 7, "Expecting property name enclosed in double quotes"},
      {"{\"a\" 1}", 5, "Expecting ':' delimiter"},
      {"[1 2]", 3, "Expecting ',' delimiter"},
      {"\"abc", 0, "Unterminated string starting at"},
      {"\"a\tb\"", 2, "Invalid control character at"},
      {"\"\\x\"", 1, "Invalid \\escape"},
      {"\"\\u12g4\"", 2, "Invalid \\uXXXX escape"},
      {"{}{}", 2, "Extra data"},
      {"-", 0, "Expecting value"},
      {"01", 1, "Extra data"},
      {"1.", 1, "Extra data"},
      {"tru", 0, "Expecting value"},
      {"[\"\xc3\xbc\xe4\xb8\x96\xf0\x9f\x99\x82\",]", 7,
       "Expecting value"},  // characters, not bytes
  };
  for (const Case& item : cases) {
    const JsonFailure failure = failed(item.text);
    EXPECT_EQ(failure.position, item.position) << item.text;
    EXPECT_EQ(failure.message, item.message) << item.text;
    EXPECT_EQ(failure.kind, JsonFailure::Kind::kSyntax) << item.text;
  }
}

TEST(PythonJson, ReadsPythonsNumbers) {
  EXPECT_TRUE(std::isnan(*parsed("NaN").real()));
  EXPECT_EQ(*parsed("-Infinity").real(), -HUGE_VAL);
  EXPECT_EQ(*parsed("1e400").real(), HUGE_VAL);
  EXPECT_TRUE(*parsed("18446744073709551616").integer() == kUint64Max + 1);
  EXPECT_TRUE(*parsed("-9223372036854775809").integer() == kInt64Min - 1);
  EXPECT_TRUE(*parsed(std::string(4300, '9')).integer() == kWidest);
  EXPECT_EQ(failed(std::string(4301, '9')).kind, JsonFailure::Kind::kOther);
  EXPECT_EQ(*parsed("1.5e1").real(), 15.0);
}

TEST(PythonJson, TheLastOfDuplicateKeysWins) {
  const JsonValue value = parsed("{\"a\":1,\"b\":2,\"a\":3}");
  EXPECT_TRUE(*find_member(*value.object(), "a")->integer() == 3);
  EXPECT_EQ(find_member(*value.object(), "c"), nullptr);
}

TEST(PythonJson, ReadsOtherEncodings) {
  using namespace std::string_view_literals;
  EXPECT_EQ(*parsed("\xef\xbb\xbf\"a\"").string(), "a");
  EXPECT_EQ(*parsed("\xff\xfe\"\0\x16N\"\0"sv).string(), "\xe4\xb8\x96");
  EXPECT_EQ(*parsed("\0\"\0a\0\""sv).string(), "a");
  EXPECT_EQ(*parsed("\"\0\0\0a\0\0\0\"\0\0\0"sv).string(), "a");
  EXPECT_EQ(failed("\"\xff\"").kind, JsonFailure::Kind::kOther);
}

TEST(PythonJson, JoinsSurrogatesAndKeepsLoneOnes) {
  EXPECT_EQ(*parsed("\"\\ud83d\\ude42\"").string(), "\xf0\x9f\x99\x82");
  EXPECT_FALSE(has_lone_surrogate(*parsed("\"\\ud83d\\ude42\"").string()));
  EXPECT_TRUE(has_lone_surrogate(*parsed("\"\\ud83d a\"").string()));
}

TEST(PythonJson, NestsAsDeepAsPythonAndNoDeeper) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  parsed(nested(kJsonDepthMax));
  EXPECT_EQ(failed(nested(kJsonDepthMax + 1)).kind, JsonFailure::Kind::kOther);
  EXPECT_EQ(failed(std::string(1000000, '{')).kind, JsonFailure::Kind::kSyntax);
}

TEST(PythonJson, TruthIsPythons) {
  for (const char* text : {"null", "false", "0", "0.0", "\"\"", "[]", "{}"}) {
    EXPECT_FALSE(parsed(text).truthy()) << text;
  }
  for (const char* text : {"true", "-1", "NaN", "\"false\"", "[0]", "{\"a\":null}"}) {
    EXPECT_TRUE(parsed(text).truthy()) << text;
  }
}

}  // namespace
}  // namespace kvasir
