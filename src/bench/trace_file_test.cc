#include "bench/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "bench/workload.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<TraceFile> load(const std::string& text, uint32_t block_tokens = kMooncakeBlockTokens) {
  const std::string path = ::testing::TempDir() + "trace_file_test.jsonl";
  std::ofstream(path, std::ios::binary) << text;
  Result<TraceFile> trace = load_trace(path, block_tokens);
  std::remove(path.c_str());
  return trace;
}

TEST(TraceFile, WithoutAPathItIsTheBuiltInOne) {
  const Result<TraceFile> trace = load_trace("");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->rows.size(), 200u);
  EXPECT_THAT(trace->remarks, IsEmpty());
}

TEST(TraceFile, TextsHaveTheLengthAndTheBlocksOfTheirTokens) {
  const Result<TraceFile> trace = load(
      "{\"timestamp\": 0, \"text_input\": \" bab bad baf\", \"output_length\": 1}\n"
      "{\"timestamp\": 0, \"text_input\": \" bab bad dad\", \"output_length\": 1}\n",
      2);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->rows[0].input_length, 3u);
  ASSERT_EQ(trace->rows[0].hash_ids.size(), 2u);
  EXPECT_EQ(trace->rows[0].hash_ids[0], trace->rows[1].hash_ids[0]);
  EXPECT_NE(trace->rows[0].hash_ids[1], trace->rows[1].hash_ids[1]);
  EXPECT_DOUBLE_EQ(hit_ceiling(trace->rows, 2), 2.0 / 6);
}

TEST(TraceFile, WhatIsNotTakenAsItStandsIsTold) {
  const Result<TraceFile> trace = load(
      "{\"timestamp\": 0, \"input_length\": 5, \"turn\": 1, \"type\": \"text\"}\n"
      "{\"timestamp\": 0, \"input_length\": 5, \"turn\": 2}\n");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_THAT(trace->remarks, ElementsAre("keys without effect here: turn, type",
                                          HasSubstr("2 rows have no output_length")));
  EXPECT_EQ(hit_ceiling(trace->rows), 0);
}

TEST(TraceFile, ATraceWithoutTimestampsIsTold) {
  const Result<TraceFile> trace = load(
      "{\"text_input\": \"What is it?\", \"output_length\": 20}\n"
      "{\"session_id\": \"a\", \"input_length\": 10, \"output_length\": 5}\n"
      "{\"session_id\": \"a\", \"input_length\": 10, \"output_length\": 5}\n");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_THAT(trace->remarks,
              ElementsAre(HasSubstr("no row has a timestamp: 2 requests are due at once")));
  const Workload workload = plan_workload(trace->rows, {});
  EXPECT_THAT(workload.due, ElementsAre(Duration(0), Duration(0), Duration(0)));
  EXPECT_THAT(workload.first, ElementsAre(0, 1));
  EXPECT_EQ(workload.next_turn[1], 2u);
}

TEST(TraceFile, ChatsHaveTheTokensOfTheirPrompt) {
  const Result<TraceFile> trace = load(
      R"({"timestamp":0,"messages":[{"role":"user","content":"hi"}],"output_length":2})"
      "\n"
      R"({"timestamp":0,"text_input":"<|user|>hi\n<|assistant|>","output_length":2})"
      "\n"
      R"({"timestamp":0,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function",)"
      R"("function":{"name":"f"}}],"output_length":2})"
      "\n"
      R"({"timestamp":0,"messages":[{"role":"user","content":[{"type":"image_url"}]}],)"
      R"("output_length":2})"
      "\n",
      2);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_GT(trace->rows[0].input_length, 0u);
  EXPECT_EQ(trace->rows[0].input_length, trace->rows[1].input_length);
  EXPECT_EQ(trace->rows[0].hash_ids, trace->rows[1].hash_ids);
  EXPECT_GT(trace->rows[2].input_length, trace->rows[0].input_length);
  EXPECT_EQ(trace->rows[3].input_length, 0u);
  EXPECT_THAT(trace->remarks, ElementsAre(HasSubstr("1 rows have messages")));
}

TEST(TraceFile, ErrorsNameTheFileAndTheLine) {
  EXPECT_THAT(load("{}").error().message, HasSubstr("trace_file_test.jsonl:1: "));
  EXPECT_THAT(load("\n").error().message, HasSubstr("it has no rows"));
  EXPECT_THAT(load_trace("/no/such/trace.jsonl").error().message,
              HasSubstr("cannot read /no/such/trace.jsonl"));
}

}  // namespace
}  // namespace kvasir
