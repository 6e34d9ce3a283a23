#include "bench/trace_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "bench/trace_file.h"
#include "bench/workload.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::string source_file(const std::string& path) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string written(const std::vector<TraceRow>& rows) {
  std::string text;
  for (const TraceRow& row : rows) append_mooncake_row(row, text);
  return text;
}

// Made by: kvasir bench trace --output examples/conversation_small.jsonl
TEST(TraceGenerator, ExampleIsWhatTheDefaultsMake) {
  const std::string example = source_file("examples/conversation_small.jsonl");
  ASSERT_FALSE(example.empty());
  EXPECT_EQ(example, written(generate_trace({})));
}

TEST(TraceGenerator, RowsAreAValidTraceThatSharesPrefixes) {
  for (const uint64_t seed : {1, 2, 3}) {
    TraceOptions options;
    options.seed = seed;
    options.requests = 1000;
    const std::vector<TraceRow> rows = generate_trace(options);
    const auto read = parse_mooncake_trace(written(rows), "t");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->rows.size(), 1000u);
    EXPECT_EQ(bin_width_ms(rows), 3000u);
    EXPECT_GT(hit_ceiling(rows), 0.3);
    EXPECT_LT(hit_ceiling(rows), 0.9);
    for (const TraceRow& row : rows) EXPECT_LE(row.input_length, options.prompt_tokens_max);
  }
}

TEST(TraceGenerator, SeedsAndBoundsMatter) {
  TraceOptions options;
  options.seed = 2;
  EXPECT_NE(generate_trace(options), generate_trace({}));
  EXPECT_EQ(generate_trace(options), generate_trace(options));
  options.requests = 2000;
  options.prompt_tokens_max = 8192;
  options.bin_ms = 1;
  options.follow_up_percent = 100;
  uint32_t longest = 0;
  for (const TraceRow& row : generate_trace(options)) longest = std::max(longest, row.input_length);
  EXPECT_LE(longest, 8192u);
}

// An id stands for its block and all before it: it has one predecessor.
TEST(TraceGenerator, EveryIdHasOneParent) {
  std::map<uint64_t, uint64_t> parents;
  TraceOptions options;
  options.requests = 1000;
  for (const TraceRow& row : generate_trace(options)) {
    uint64_t parent = ~uint64_t{0};
    for (const uint64_t id : row.hash_ids) {
      EXPECT_EQ(parents.emplace(id, parent).first->second, parent);
      parent = id;
    }
  }
}

TEST(LoadTrace, WithoutAFileItIsTheExample) {
  const auto built_in = load_trace("");
  ASSERT_TRUE(built_in);
  EXPECT_EQ(built_in->rows, generate_trace({}));
}

TEST(LoadTrace, FilesThatCannotBeReadAreNamed) {
  for (const char* path : {"/nonexistent/trace.jsonl", "/", "/dev/null"}) {
    const auto trace = load_trace(path);
    ASSERT_FALSE(trace) << path;
    EXPECT_THAT(trace.error().message, HasSubstr(path));
  }
}

}  // namespace
}  // namespace kvasir
