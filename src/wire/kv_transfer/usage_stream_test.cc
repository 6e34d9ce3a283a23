#include "wire/kv_transfer/usage_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(UsageStream, CachedTokensAreSetAndAllElseStays) {
  EXPECT_EQ(
      with_cached_tokens(R"( {"a":1.0,"usage":{"prompt_tokens":9,"prompt_tokens_details":{"x":1,)"
                         R"("cached_tokens":3},"completion_tokens":2},"b":9007199254740993})",
                         7),
      R"( {"a":1.0,"usage":{"prompt_tokens":9,"prompt_tokens_details":{"x":1,)"
      R"("cached_tokens":7},"completion_tokens":2},"b":9007199254740993})");
  EXPECT_EQ(with_cached_tokens(R"({"usage":{"prompt_tokens_details":null}})", 0),
            R"({"usage":{"prompt_tokens_details":{"cached_tokens":0}}})");
  EXPECT_EQ(with_cached_tokens(R"({"usage":{"a":1}})", 5),
            R"({"usage":{"a":1,"prompt_tokens_details":{"cached_tokens":5}}})");
  for (const char* without : {"", "{}", R"({"usage":null})", R"({"usage":[1]})", "[1]", "{",
                              R"({"choices":[{"usage":{}}]})"}) {
    EXPECT_EQ(with_cached_tokens(without, 1), std::nullopt) << without;
  }
  EXPECT_EQ(completion_tokens_of(R"({"usage":{"completion_tokens":12}})"), 12u);
  EXPECT_EQ(completion_tokens_of(R"({"usage":{"completion_tokens":-1}})"), std::nullopt);
}

// However the bytes are cut, what comes out is the same, and the text "usage" in an answer is not
// taken for one.
TEST(UsageStream, OnlyTheLineWithTheUsageChanges) {
  const std::string before =
      "data: {\"text\":\"say \\\"usage\\\": 1\"}\r\n\r\n: \"usage\" in a comment\n"
      "data: {\"usage\":null}\n\ndata:{\"usage\":";
  const std::string after = "}\r\n\r\ndata: [DONE]\n\n";
  const std::string stream = before + R"({"completion_tokens":4})" + after;
  const std::string expected =
      before + R"({"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":6}})" + after;
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    UsageStream usage(6);
    std::string out;
    for (size_t at = 0; at < stream.size(); at += piece) {
      out += usage.feed(std::string_view(stream).substr(at, piece));
    }
    out += usage.rest();
    EXPECT_EQ(out, expected) << piece;
    EXPECT_EQ(usage.completion_tokens(), 4u);
  }
}

TEST(UsageStream, WhatIsPlainPassesWithoutACopy) {
  UsageStream usage(6);
  const std::string event = "data: {\"text\":\"a\"}\n\n";
  EXPECT_EQ(usage.feed(event).data(), event.data());
  EXPECT_EQ(usage.feed("data: {").size(), 0u);
  EXPECT_EQ(usage.feed("}\n"), "data: {}\n");
  EXPECT_EQ(usage.feed(event).data(), event.data());
  UsageStream reads(std::nullopt);
  const std::string with_usage = "data: {\"usage\":{\"completion_tokens\":3}}\n\n";
  EXPECT_EQ(reads.feed(with_usage), with_usage);
  EXPECT_EQ(reads.completion_tokens(), 3u);
}

TEST(UsageStream, ALineWithoutEndIsNotHeldForEver) {
  UsageStream usage(6);
  const std::string piece(512 * 1024, 'x');
  EXPECT_EQ(usage.feed(piece), "");
  EXPECT_EQ(usage.feed(piece), "");
  EXPECT_EQ(usage.feed("x").size(), 2 * piece.size() + 1);
  EXPECT_EQ(usage.feed("y"), "y");
  EXPECT_EQ(usage.rest(), "");
}

}  // namespace
}  // namespace kvasir
