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

TEST(TraceFile, ErrorsNameTheFileAndTheLine) {
  EXPECT_THAT(load("{}").error().message, HasSubstr("trace_file_test.jsonl:1: "));
  EXPECT_THAT(load("\n").error().message, HasSubstr("it has no rows"));
  EXPECT_THAT(load_trace("/no/such/trace.jsonl").error().message, HasSubstr("cannot read /no/such/trace.jsonl"));
}

}  // namespace
}  // namespace kvasir
