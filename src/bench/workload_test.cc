#include "bench/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kvasir {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<TraceRow> rows_at(std::initializer_list<uint64_t> timestamps_ms) {
  std::vector<TraceRow> rows;
  for (const uint64_t at : timestamps_ms) {
    rows.push_back({static_cast<double>(at), 1, 1, {rows.size()}});
  }
  return rows;
}

std::vector<double> due_ms(const Workload& workload) {
  std::vector<double> due;
  for (const Duration at : workload.due) due.push_back(to_milliseconds(at));
  return due;
}

TEST(Workload, BinsAreSpreadEvenlyAndInOrder) {
  const Workload workload = plan_workload(rows_at({0, 0, 0, 3000, 6000, 6000}), {});
  EXPECT_EQ(workload.bin_ms, 3000u);
  EXPECT_THAT(due_ms(workload), ElementsAre(0, 1000, 2000, 3000, 6000, 7500));
}

TEST(Workload, BinWidthIsTheMedianGapAndABinEndsWhereTheNextBegins) {
  EXPECT_EQ(bin_width_ms(rows_at({0, 0, 3000, 5999, 9000, 9000, 15000})), 3000u);
  EXPECT_EQ(bin_width_ms(rows_at({7, 7, 7})), 0u);
  EXPECT_EQ(bin_width_ms({}), 0u);
  const Workload workload = plan_workload(rows_at({0, 3000, 3000, 5000, 8000}), {});
  EXPECT_THAT(due_ms(workload), ElementsAre(0, 3000, 4000, 5000, 8000));
}

TEST(Workload, BinsAsIsSendAllAtOnce) {
  WorkloadOptions options;
  options.bins = Bins::kAsIs;
  EXPECT_THAT(due_ms(plan_workload(rows_at({0, 0, 3000, 3000}), options)),
              ElementsAre(0, 0, 3000, 3000));
}

TEST(Workload, SpeedDividesTime) {
  WorkloadOptions options;
  options.speed = 4;
  EXPECT_THAT(due_ms(plan_workload(rows_at({1000, 3000, 3000}), options)),
              ElementsAre(0, 500, 750));
}

TEST(Workload, TakingRowsKeepsTheirDistances) {
  WorkloadOptions options;
  options.start = 1;
  options.requests = 2;
  const Workload workload = plan_workload(rows_at({0, 0, 0, 3000}), options);
  EXPECT_EQ(workload.first_row, 1u);
  EXPECT_EQ(workload.rows.front().hash_ids.front(), 1u);
  EXPECT_THAT(due_ms(workload), ElementsAre(0, 1000));
  options.start = 9;
  EXPECT_EQ(plan_workload(rows_at({0}), options).size(), 0u);
  options.start = 0;
  options.requests = 9;
  EXPECT_EQ(plan_workload(rows_at({0, 1}), options).size(), 2u);
}

TraceRow turn(double at, const char* session, double delay_ms = 0) {
  TraceRow row{at, 1, 1, {1}};
  row.session = session;
  row.delay_ms = delay_ms;
  return row;
}

TEST(Workload, TurnsOfASessionAreLinkedAndNotSpread) {
  std::vector<TraceRow> trace = rows_at({1000, 1000, 4000});
  trace.insert(trace.begin(), {turn(2000, "a"), turn(2000, "a", 250), turn(500, "b")});
  trace.push_back(turn(7000, "a", 50));
  const Workload workload = plan_workload(trace, {});
  EXPECT_THAT(due_ms(workload), ElementsAre(1500, 1500, 0, 500, 2000, 3500, 6500));
  EXPECT_THAT(workload.first, ElementsAre(2, 3, 0, 4, 5));
  EXPECT_THAT(workload.next_turn, ElementsAre(1, 6, kNoTurn, kNoTurn, kNoTurn, kNoTurn, kNoTurn));
  EXPECT_EQ(workload.delay[1], std::chrono::milliseconds(250));
  WorkloadOptions options;
  options.start = 1;
  options.speed = 2;
  const Workload later = plan_workload(trace, options);
  EXPECT_THAT(later.first, ElementsAre(1, 2, 0, 3, 4));  // its first turn was skipped
  EXPECT_EQ(later.delay[5], std::chrono::milliseconds(25));
}

TEST(Workload, RowsThatShareNoTimestampAreInNoBins) {
  EXPECT_EQ(bin_width_ms(rows_at({0, 3000, 6000})), 0u);
}

TEST(HitCeiling, CountsTheTokensOfLeadingBlocksSeenBefore) {
  const std::vector<TraceRow> rows = {
      {0, 1000, 1, {1, 2}},     // nothing is known
      {0, 1000, 1, {1, 2}},     // all of it, the partial block too
      {0, 1536, 1, {1, 3, 2}},  // 512: block 2 does not lead
  };
  EXPECT_DOUBLE_EQ(hit_ceiling(rows), (1000.0 + 512.0) / 3536.0);
  EXPECT_EQ(hit_ceiling({}), 0);
}

// The figures that others publish for this trace: 12,031 rows, 3 s bins, 37.36 % of the tokens.
TEST(HitCeiling, EqualsThePublishedFigureOfTheConversationTrace) {
  const char* data = std::getenv("KVASIR_DATA_DIR");
  const std::string path =
      std::string(data != nullptr ? data : "../shared/data") + "/mooncake/conversation_trace.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "no " << path;
  std::ostringstream text;
  text << file.rdbuf();
  const auto trace = parse_mooncake_trace(text.str(), path);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->rows.size(), 12031u);
  EXPECT_EQ(bin_width_ms(trace->rows), 3000u);
  EXPECT_THAT(hit_ceiling(trace->rows), DoubleNear(0.3736, 0.00005));
}

}  // namespace
}  // namespace kvasir
