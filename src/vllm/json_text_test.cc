#include "wire/json/json_text.h"

#include <gtest/gtest.h>

#include "vllm/api_error.h"

namespace kvasir {
namespace {

std::string string(std::string_view text) {
  std::string json;
  append_json_string(text, json);
  return json;
}

std::string ascii(std::string_view text) {
  std::string json;
  append_json_ascii_string(text, json);
  return json;
}

TEST(JsonText, EscapesWhatJsonMust) {
  EXPECT_EQ(string("a\"\\\n\t\x01\x7f"), "\"a\\\"\\\\\\n\\t\\u0001\x7f\"");
  EXPECT_EQ(string("\xc3\xbc\xf0\x9f\x99\x82"), "\"\xc3\xbc\xf0\x9f\x99\x82\"");
}

TEST(JsonText, WhatIsNoTextIsReplaced) {
  EXPECT_EQ(string("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(string("\xed\xa0\x80"), "\"\xef\xbf\xbd\"");
}

TEST(JsonText, AsciiHasNothingElse) {
  EXPECT_EQ(ascii("\xc3\xbc\xe4\xb8\x96\xf0\x9f\x99\x82"), "\"\\u00fc\\u4e16\\ud83d\\ude42\"");
}

TEST(JsonText, RealsLookLikeReals) {
  const std::pair<double, const char*> cases[] = {{1, "1.0"}, {-0.5, "-0.5"}, {1e300, "1e+300"}};
  for (const auto& [value, expected] : cases) {
    std::string json;
    append_real(value, json);
    EXPECT_EQ(json, expected);
  }
}

TEST(ApiError, HasTheShapesOfVllm) {
  EXPECT_EQ(error_body(bad_request("n", "no")),
            R"({"error":{"message":"no","type":"BadRequestError","param":"n","code":400}})");
  EXPECT_EQ(error_body(validation_error(std::nullopt, "no")),
            R"({"error":{"message":"no","type":"Bad Request","param":null,"code":400}})");
  EXPECT_EQ(error_body(detail_error(404, "Not Found")), R"({"detail":"Not Found"})");
  EXPECT_EQ(error_body(not_http_error()), "Invalid HTTP request received.");
  EXPECT_EQ(error_event(bad_request("n", "\xc3\xbc")),
            "data: {\"error\": {\"message\": \"\\u00fc\", \"type\": \"BadRequestError\", "
            "\"param\": \"n\", "
            "\"code\": 400}}\n\n");
}

}  // namespace
}  // namespace kvasir
