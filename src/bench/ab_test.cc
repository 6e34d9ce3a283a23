// What an A/B decides without processes; the whole of it is tested in tests/system.
#include "bench/ab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/fleet_watch.h"
#include "bench/parity.h"
#include "bench/progress_line.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ArmNames, TheSamePolicyTwiceGetsTwoNames) {
  EXPECT_THAT(arm_names({"kv", "random", "kv", "kv"}), ElementsAre("kv", "random", "kv-2", "kv-3"));
  EXPECT_THAT(arm_names({"kv", "kv", "kv"}, {false, true}),
              ElementsAre("kv", "kv+events", "kv+events-2"));
}

std::vector<Outcome> answers(std::initializer_list<uint64_t> hashes) {
  std::vector<Outcome> outcomes;
  for (const uint64_t hash : hashes) {
    outcomes.emplace_back();
    outcomes.back().row = 10 + outcomes.size() - 1;
    outcomes.back().answer_hash = hash;
  }
  return outcomes;
}

TEST(RowsThatDiffer, OnlyRowsAnsweredEverywhereCount) {
  auto one = answers({1, 2, 3});
  auto two = answers({1, 9, 8});
  EXPECT_THAT(rows_that_differ({one, two}), ElementsAre(11, 12));
  two[2].error = "timeout";
  EXPECT_THAT(rows_that_differ({one, two}), ElementsAre(11));
  EXPECT_THAT(rows_that_differ({one, one}), IsEmpty());
  EXPECT_THAT(rows_that_differ({}), IsEmpty());
}

TEST(Parity, FactsComeFromModelsAndMetrics) {
  const auto facts =
      read_worker_facts(R"({"data":[{"id":"m","max_model_len":4096}]})",
                        "# TYPE vllm:cache_config_info gauge\n"
                        "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"23125\"} 1.0\n");
  ASSERT_TRUE(facts);
  EXPECT_EQ(*facts, (WorkerFacts{"m", 4096, "block_size=16, num_gpu_blocks=23125"}));
  EXPECT_EQ(read_worker_facts(R"({"data":[{"id":"m"}]})", "")->cache_config, "");
  EXPECT_FALSE(read_worker_facts(R"({"data":[]})", ""));
  EXPECT_FALSE(read_worker_facts("", ""));
}

TEST(Parity, DifferencesAreNamed) {
  const FleetFacts fleet{8, {"m", 4096, "block_size=16"}};
  EXPECT_EQ(difference(fleet, fleet), "");
  EXPECT_EQ(difference(fleet, {7, fleet.worker}), "8 and 7 workers");
  EXPECT_EQ(difference(fleet, {8, {"n", 4096, "block_size=16"}}), "model m and n");
  EXPECT_EQ(difference(fleet, {8, {"m", std::nullopt, "block_size=16"}}),
            "max_model_len 4096 and untold");
  EXPECT_THAT(difference(fleet, {8, {"m", 4096, "block_size=32"}}), HasSubstr("block_size=32"));
}

TEST(FleetWatch, DeathsAndRestartsAreProblems) {
  ProcessStatus process;
  process.name = "worker-1";
  process.alive = true;
  EXPECT_EQ(problem_of(process), "");
  process.restarts = 1;
  EXPECT_EQ(problem_of(process), "worker-1 was restarted");
  process.restarts = 0;
  process.alive = false;
  EXPECT_EQ(problem_of(process), "worker-1 died");
}

TEST(ProgressText, ShowsABarAndTheCounts) {
  ReplayProgress progress;
  progress.total = 1000;
  progress.sent = 540;
  progress.done = 512;
  progress.errors = 1;
  EXPECT_EQ(progress_text("kv", progress, std::chrono::seconds(61)),
            "kv [##########..........] 512/1000 done, 540 sent, 1 errors, 28 in flight, 61 s");
  EXPECT_THAT(progress_text("", ReplayProgress(), Duration::zero()), HasSubstr("0/0 done"));
}

}  // namespace
}  // namespace kvasir
