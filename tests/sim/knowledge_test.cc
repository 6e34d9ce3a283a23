// What it is worth to know caches by the engines' events instead of guessing them.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "arms.h"
#include "difference_interval.h"

namespace kvasir {
namespace {

EngineProfile profile_with(uint64_t kv_tokens) {
  EngineProfile profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  profile.kv_tokens = kv_tokens;
  profile.max_model_len = 40'960;
  return profile;
}

struct Differences {
  Interval hit_ratio;
  Interval ttft_seconds;
};

// What kv has more with events than without, over arrivals that both see.
Differences of_events(const SimulatedWorkload& rows, const EngineProfile& profile, uint32_t workers,
                      uint32_t gateways, uint64_t seeds) {
  std::vector<double> hits[2], ttft[2];
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedWorkload workload = rows;
    spread_at_random(workload, std::chrono::seconds(3), seed);
    hurry(workload, 2);
    for (const size_t arm : {0, 1}) {
      SimulationOptions options = options_of(*find_arm(arm == 0 ? "kv" : "kv-events"), profile);
      options.workers = workers;
      options.gateways = gateways;
      const auto result = simulate_fleet(workload, options);
      EXPECT_TRUE(result.ok()) << result.error().message;
      hits[arm].push_back(hit_ratio(*result));
      ttft[arm].push_back(mean_ttft_seconds(*result));
    }
  }
  const Differences found{difference_interval(hits[1], hits[0]),
                          difference_interval(ttft[1], ttft[0])};
  std::printf(
      "%u gateways: hit ratio %+.4f (95 %%: %+.4f to %+.4f), TTFT %+.3f s (%+.3f to %+.3f)\n",
      gateways, found.hit_ratio.mean, found.hit_ratio.low, found.hit_ratio.high,
      found.ttft_seconds.mean, found.ttft_seconds.low, found.ttft_seconds.high);
  return found;
}

// Two gateways see half of what is sent each; events tell both everything.
TEST(ExactKnowledge, MakesUpForWhatTwoGatewaysDoNotSeeOfEachOther) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  const auto rows =
      read_workload(std::string(source ? source : ".") + "/examples/conversation_small.jsonl");
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  const Differences found = of_events(*rows, profile_with(100'000), 4, 2, 4);
  EXPECT_GT(found.hit_ratio.low, 0.02);
  EXPECT_LT(found.ttft_seconds.high, 0);
}

class RecordedConversations : public testing::Test {
 protected:
  static constexpr size_t kRows = 1000;
  static constexpr uint64_t kSeeds = 20;

  void SetUp() override {
    const char* data = std::getenv("KVASIR_DATA_DIR");
    const char* source = std::getenv("KVASIR_SOURCE_DIR");
    const std::string folder =
        data ? std::string(data) : std::string(source ? source : ".") + "/../shared/data";
    auto rows = read_workload(folder + "/mooncake/conversation_trace.jsonl", kRows);
    if (!rows) GTEST_SKIP() << rows.error().message << " (KVASIR_DATA_DIR)";
    rows_ = std::move(*rows);
  }

  SimulatedWorkload rows_;
};

TEST_F(RecordedConversations, ExactKnowledgeFindsMoreInTightCachesAndNobodyWaitsLonger) {
  const EngineProfile profile = profile_with(250'000);
  const Differences one = of_events(rows_, profile, 8, 1, kSeeds);
  EXPECT_GT(one.hit_ratio.low, 0);
  EXPECT_LE(one.ttft_seconds.mean, 0);
  const Differences two = of_events(rows_, profile, 8, 2, kSeeds);
  EXPECT_GT(two.hit_ratio.low, 0);
  EXPECT_LE(two.ttft_seconds.mean, 0);
}

TEST(DifferenceInterval, IsStudents) {
  const double ones[] = {3, 5, 4, 8}, others[] = {1, 2, 3, 4};
  const Interval interval = difference_interval(ones, others);
  EXPECT_DOUBLE_EQ(interval.mean, 2.5);
  // Deviation 1.29099 of four: 3.182 * 1.29099 / 2.
  EXPECT_NEAR(interval.high - interval.mean, 2.05397, 1e-4);
  EXPECT_NEAR(interval.mean - interval.low, 2.05397, 1e-4);
}

}  // namespace
}  // namespace kvasir
