#include "wire/mooncake_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(MooncakeTrace, RowsAreReadAndWrittenBack) {
  const std::string text =
      "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 5, \"hash_ids\": [7]}\n"
      "{\"timestamp\": 3000, \"input_length\": 1025, \"output_length\": 1, \"hash_ids\": [7, 8, "
      "18446744073709551615]}\n";
  const auto rows = parse_mooncake_trace(text, "t");
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1], (TraceRow{3000, 1025, 1, {7, 8, 18446744073709551615u}}));
  std::string written;
  for (const TraceRow& row : *rows) append_mooncake_row(row, written);
  EXPECT_EQ(written, text);
}

TEST(MooncakeTrace, KeyOrderSpacesAndLineEndsDoNotMatter) {
  const auto rows = parse_mooncake_trace(
      "\r\n{\"hash_ids\":[1,2],\"output_length\":5,\"input_length\":513,\"timestamp\":9}\r\n\n",
      "t");
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->at(0), (TraceRow{9, 513, 5, {1, 2}}));
  EXPECT_TRUE(parse_mooncake_trace("", "t")->empty());
}

TEST(MooncakeTrace, BlockSizeIsAParameter) {
  const char* row =
      "{\"timestamp\":0,\"input_length\":33,\"output_length\":1,\"hash_ids\":[1,2,3]}";
  EXPECT_TRUE(parse_mooncake_trace(row, "t", 16));
  EXPECT_FALSE(parse_mooncake_trace(row, "t", 512));
}

TEST(MooncakeTrace, ErrorsNameFileLineAndWhatIsWrong) {
  const struct {
    const char* row;
    const char* problem;
  } cases[] = {
      {"{", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"{} {}", "not valid JSON"},
      {R"({"timestamp":0,"input_length":1,"output_length":1})", "\"hash_ids\" is missing"},
      {R"({"input_length":1,"output_length":1,"hash_ids":[1]})", "\"timestamp\" is missing"},
      {R"({"timestamp":0,"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1]})",
       "stands twice"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1],"delay":4})",
       "\"delay\" is unknown"},
      {R"({"timestamp":-1,"input_length":1,"output_length":1,"hash_ids":[1]})",
       "\"timestamp\" is not a whole number from 0"},
      {R"({"timestamp":0.5,"input_length":1,"output_length":1,"hash_ids":[1]})", "\"timestamp\""},
      {R"({"timestamp":0,"input_length":0,"output_length":1,"hash_ids":[]})",
       "\"input_length\" is not a whole number from 1"},
      {R"({"timestamp":0,"input_length":1,"output_length":0,"hash_ids":[1]})", "\"output_length\""},
      {R"({"timestamp":0,"input_length":4294967296,"output_length":1,"hash_ids":[1]})",
       "\"input_length\""},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":["a"]})",
       "\"hash_ids\" is not"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":1})", "\"hash_ids\" is not"},
      {R"({"timestamp":0,"input_length":513,"output_length":1,"hash_ids":[1]})",
       "input_length 513 needs 2 hash_ids of 512 tokens, there are 1"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1,2]})",
       "needs 1 hash_ids"},
  };
  for (const auto& bad : cases) {
    const auto rows = parse_mooncake_trace(std::string("\n") + bad.row + "\n", "some/trace.jsonl");
    ASSERT_FALSE(rows) << bad.row;
    EXPECT_THAT(rows.error().message, StartsWith("some/trace.jsonl:2: ")) << bad.row;
    EXPECT_THAT(rows.error().message, HasSubstr(bad.problem)) << bad.row;
  }
}

TEST(MooncakeTrace, TimeNeverGoesBack) {
  const auto rows = parse_mooncake_trace(
      "{\"timestamp\":5,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1]}\n"
      "{\"timestamp\":4,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1]}\n",
      "t");
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().message, "t:2: the timestamp goes back: 4 after 5");
}

}  // namespace
}  // namespace kvasir
