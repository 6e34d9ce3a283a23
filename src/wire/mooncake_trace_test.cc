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
  const auto trace = parse_mooncake_trace(text, "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->rows.size(), 2u);
  EXPECT_EQ(trace->rows[1], (TraceRow{3000, 1025, 1, {7, 8, 18446744073709551615u}}));
  EXPECT_TRUE(trace->unknown_keys.empty());
  std::string written;
  for (const TraceRow& row : trace->rows) append_mooncake_row(row, written);
  EXPECT_EQ(written, text);
}

TEST(MooncakeTrace, KeyOrderSpacesAndLineEndsDoNotMatter) {
  const auto trace = parse_mooncake_trace(
      "\r\n{\"hash_ids\":[1,2],\"output_length\":5,\"input_length\":513,\"timestamp\":9}\r\n\n",
      "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->rows.at(0), (TraceRow{9, 513, 5, {1, 2}}));
  EXPECT_TRUE(parse_mooncake_trace("", "t")->rows.empty());
  const auto marked =
      parse_mooncake_trace("\xef\xbb\xbf{\"input_length\":5,\"timestamp\":1}\r\n", "t");
  ASSERT_TRUE(marked) << marked.error().message;
  EXPECT_EQ(marked->rows.size(), 1u);
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
      {R"({"timestamp":0,"output_length":1,"hash_ids":[1]})", "\"input_length\" is missing"},
      {R"({"timestamp":0,"messages":[],"output_length":1})", "\"messages\" is not a list"},
      {R"({"timestamp":0,"messages":"hi"})", "\"messages\" is not a list of messages"},
      {R"({"timestamp":0,"messages":["hi"]})", "\"messages\" is not a list of messages"},
      {R"({"timestamp":0,"messages":[{"content":"hi"}]})", "objects with a \"role\""},
      {R"({"timestamp":0,"messages":[{"role":1}]})", "objects with a \"role\""},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"tools":[]})", "\"tools\" is not a list"},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"tools":[1]})", "\"tools\" is not a list"},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"text_input":"a"})",
       "\"messages\" and \"text_input\" cannot stand together"},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"input_length":1,"hash_ids":[1]})",
       "\"messages\" and \"hash_ids\" cannot stand together"},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"messages":[{"role":"user"}]})",
       "stands twice"},
      {R"({"timestamp":0,"messages":[{"role":"user"}],"message_mode":"delta"})",
       "\"message_mode\" is not \"history\""},
      {R"({"timestamp":0,"text_input":"a","tools":[{}]})", "\"tools\" needs \"messages\""},
      {R"({"timestamp":0,"payload":{"prompt":"hi","max_tokens":5}})",
       "\"payload\" rows are not replayed"},
      {R"({"timestamp":0,"text_input":"","output_length":1})", "\"text_input\" is not a text"},
      {R"({"timestamp":0,"text_input":"a","output_length":1,"hash_ids":[1]})",
       "cannot stand together"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"session_id":["a"]})",
       "\"session_id\" is not a text or a whole number"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"delay":-1})", "\"delay\" is not"},
      {R"({"timestamp":0,"created_time":0,"input_length":1,"output_length":1})", "stands twice"},
      {R"({"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[]})", "needs 1 hash_ids"},
      {R"({"timestamp":0,"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[1]})",
       "stands twice"},
      {R"({"timestamp":-1,"input_length":1,"output_length":1,"hash_ids":[1]})",
       "\"timestamp\" is not a number of milliseconds from 0"},
      {R"({"timestamp":"0","input_length":1,"output_length":1,"hash_ids":[1]})", "\"timestamp\""},
      {R"({"timestamp":1e16,"input_length":1,"output_length":1,"hash_ids":[1]})", "\"timestamp\""},
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

TEST(MooncakeTrace, RowsAreReadAsAiperfGuidellmAndDynamoWriteThem) {
  const auto trace = parse_mooncake_trace(
      "{\"timestamp\": 27.5, \"input_length\": 655.0, \"output_length\": 52}\n"
      "{\"timestamp\": 30, \"text_input\": \"Hi \\u00e9\", \"output_length\": 4, \"hash_ids\": "
      "null}\n"
      "{\"created_time\": 31.25, \"input_tokens\": 10, \"output_tokens\": 4}\n"
      "{\"timestamp\": 40, \"input_length\": 10, \"hash_ids\": [1]}\n"
      "{\"timestamp\": 41, \"input_length\": 3, \"output_length\": 1, \"type\": \"text\", "
      "\"turn\": 1}\n"
      "{\"timestamp\": 42, \"input_length\": 3, \"output_length\": 1, \"turn\": 2, \"extra\": "
      "{}}\n",
      "t");
  ASSERT_TRUE(trace) << trace.error().message;
  ASSERT_EQ(trace->rows.size(), 6u);
  EXPECT_EQ(trace->rows[0], (TraceRow{27.5, 655, 52}));
  EXPECT_EQ(trace->rows[1], (TraceRow{30, 0, 4, {}, "Hi \xc3\xa9"}));
  EXPECT_EQ(trace->rows[2], (TraceRow{31.25, 10, 4}));
  EXPECT_EQ(trace->rows[3], (TraceRow{40, 10, kTraceOutputTokens, {1}}));
  EXPECT_EQ(trace->rows_without_output_length, 1u);
  EXPECT_THAT(trace->unknown_keys, ::testing::ElementsAre("type", "turn", "extra"));
}

TEST(MooncakeTrace, TurnsOfASessionFollowOneAnother) {
  const auto trace = parse_mooncake_trace(
      "{\"timestamp\": 5, \"session_id\": \"a\", \"delay\": 9, \"input_length\": 1, "
      "\"output_length\": 1}\n"
      "{\"session_id\": \"a\", \"delay\": 250.5, \"input_length\": 2, \"output_length\": 1}\n"
      "{\"timestamp\": 1, \"session_id\": 7, \"input_length\": 3, \"output_length\": 1}\n"
      "{\"timestamp\": 80, \"session_id\": \"a\", \"input_length\": 4, \"output_length\": 1}\n"
      "{\"timestamp\": 2, \"input_length\": 5, \"output_length\": 1}\n"
      "{\"session_id\": 7, \"delay_ms\": 3, \"input_length\": 6, \"output_length\": 1}\n",
      "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_THAT(trace->rows,
              ::testing::ElementsAre(TraceRow{5, 1, 1, {}, "", "a", false, 0},
                                     TraceRow{5, 2, 1, {}, "", "a", true, 250.5},
                                     TraceRow{1, 3, 1, {}, "", "7", false, 0},
                                     TraceRow{80, 4, 1, {}, "", "a", true, 0}, TraceRow{2, 5, 1},
                                     TraceRow{1, 6, 1, {}, "", "7", true, 3}));
  const auto back = parse_mooncake_trace(
      "{\"timestamp\": 5.5, \"session_id\": \"a\", \"input_length\": 1, \"output_length\": 1}\n"
      "{\"timestamp\": 4, \"session_id\": \"a\", \"input_length\": 1, \"output_length\": 1}\n",
      "t");
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "t:2: the timestamp goes back: 4 after 5.5");
}

TEST(MooncakeTrace, WithoutAnyTimestampFirstTurnsAreDueAtZero) {
  const auto trace = parse_mooncake_trace(
      "{\"text_input\": \"What is it?\", \"output_length\": 20}\n"
      "{\"session_id\": \"a\", \"input_length\": 10, \"output_length\": 5}\n"
      "{\"session_id\": \"a\", \"input_length\": 11, \"output_length\": 5, \"timestamp\": null}\n"
      "{\"session_id\": \"a\", \"input_length\": 12, \"output_length\": 5, \"delay\": 30}\n",
      "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_FALSE(trace->has_times);
  EXPECT_THAT(trace->rows, ::testing::ElementsAre(TraceRow{0, 0, 20, {}, "What is it?"},
                                                  TraceRow{0, 10, 5, {}, "", "a", false, 0},
                                                  TraceRow{0, 11, 5, {}, "", "a", true, 0},
                                                  TraceRow{0, 12, 5, {}, "", "a", true, 30}));
  EXPECT_TRUE(parse_mooncake_trace("{\"timestamp\":0,\"input_length\":1}", "t")->has_times);
}

TEST(MooncakeTrace, TimestampsInSomeFirstTurnsOnlyAreAnError) {
  const std::string timed = R"({"timestamp":0,"input_length":1})";
  const std::string untimed = R"({"input_length":1})";
  const std::string first = R"({"session_id":"a","input_length":1})";
  const std::string later = R"({"session_id":"a","timestamp":9,"input_length":1})";
  const struct {
    std::string text;
    const char* problem;
  } cases[] = {
      {timed + "\n" + untimed, "t:2: the key \"timestamp\" is missing, but line 1 has one"},
      {untimed + "\n\n" + timed, "t:1: the key \"timestamp\" is missing, but line 3 has one"},
      {timed + "\n" + first,
       "t:2: the key \"timestamp\" is missing in the first row of session \"a\", but line 1 has"},
      {first + "\n" + later,
       "t:1: the key \"timestamp\" is missing in the first row of session \"a\", but line 2 has"},
  };
  for (const auto& bad : cases) {
    const auto trace = parse_mooncake_trace(bad.text, "t");
    ASSERT_FALSE(trace) << bad.text;
    EXPECT_THAT(trace.error().message, StartsWith(bad.problem));
  }
}

TEST(MooncakeTrace, MessagesAndToolsAreKeptByteForByte) {
  const std::string messages = R"([ {"role":"user", "content":"h\u0069 \"\/ 1.50"},{"role":"x"}])";
  const std::string tools = R"([{"type":"function","n":1.0e2}])";
  const auto trace = parse_mooncake_trace(
      "  {\"messages\":null,\"timestamp\": 0, \"messages\": " + messages + " ,\"tools\":" + tools +
          ", \"input_length\": 7, \"output_length\": 20, \"message_mode\": \"history\"}\n",
      "t");
  ASSERT_TRUE(trace) << trace.error().message;
  ASSERT_EQ(trace->rows.size(), 1u);
  EXPECT_EQ(trace->rows[0].messages, messages);
  EXPECT_EQ(trace->rows[0].tools, tools);
  EXPECT_EQ(trace->rows[0].input_length, 0u);
  EXPECT_EQ(trace->rows[0].output_length, 20u);
  EXPECT_TRUE(trace->unknown_keys.empty());
  std::string written;
  append_mooncake_row(trace->rows[0], written);
  const auto again = parse_mooncake_trace(written, "t");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->rows, trace->rows);
}

TEST(MooncakeTrace, AChatHasALimit) {
  const std::string begin = R"({"timestamp":0,"messages":[{"role":"user","content":")";
  const auto trace =
      parse_mooncake_trace(begin + std::string(kTraceChatBytesMost, 'a') + "\"}]}", "t");
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().message, StartsWith("t:1: \"messages\" and \"tools\" have "));
}

TEST(MooncakeTrace, UnknownKeysAreRememberedUpToALimit) {
  std::string row = "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1";
  for (int i = 0; i < 100; ++i) row += ", \"k" + std::to_string(i) + "\": 0";
  const auto trace = parse_mooncake_trace(row + "}", "t");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->unknown_keys.size(), kUnknownKeysMost);
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
