// Every way to route on the small conversation trace of examples/, with the profile that was
// measured. `make policy-table` runs the same on traces of any size.
#include "arms.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr uint64_t kSeeds = 5;
constexpr uint32_t kWorkers = 4;

SimulatedWorkload small_conversations(uint64_t seed) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  auto workload =
      read_workload(std::string(source ? source : ".") + "/examples/conversation_small.jsonl");
  EXPECT_TRUE(workload.ok()) << workload.error().message;
  spread_at_random(*workload, std::chrono::seconds(3), seed);
  hurry(*workload, 2);
  return std::move(*workload);
}

SimulationResult simulate_arm(const Arm& arm, const SimulatedWorkload& workload) {
  EngineProfile profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  profile.kv_tokens = 150'000;
  SimulationOptions options = options_of(arm, profile);
  options.workers = kWorkers;
  auto result = simulate_fleet(workload, options);
  EXPECT_TRUE(result.ok()) << arm.name << ": " << result.error().message;
  return std::move(result).value();
}

TEST(Arms, EachIsFoundByItsName) {
  for (const Arm& arm : comparison_arms()) EXPECT_EQ(find_arm(arm.name), &arm);
  EXPECT_EQ(find_arm("banana"), nullptr);
}

// The examples are these texts behind a line that says what they are.
TEST(Arms, TheExamplesAreWhatIsSimulated) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  for (const auto& [arm, file] : {std::pair{"dynamo", "dynamo"}, std::pair{"lmetric", "lmetric"},
                                  std::pair{"llm-d", "llm_d"}}) {
    const auto text = read_whole_file(
        std::string(source ? source : ".") + "/examples/compare_" + file + ".yaml", 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(text->substr(text->find('\n') + 1), find_arm(arm)->config);
  }
}

TEST(Arms, EachAnswersEveryRequestInFull) {
  const SimulatedWorkload workload = small_conversations(1);
  for (const Arm& arm : comparison_arms()) {
    const auto result = simulate_arm(arm, workload);
    for (size_t i = 0; i < workload.size(); ++i) {
      EXPECT_FALSE(result.requests[i].refused) << arm.name;
      EXPECT_EQ(result.requests[i].output_tokens, workload[i].output_tokens) << arm.name;
    }
  }
}

// Measured: kv 0.46 s, LMetric 0.74, llm-d 0.85, Dynamo 0.88, round robin 1.85.
TEST(Arms, KvAnswersACrowdSoonest) {
  std::map<std::string_view, double> ttft;
  for (const Arm& arm : comparison_arms()) {
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      ttft[arm.name] += mean_ttft_seconds(simulate_arm(arm, small_conversations(seed))) / kSeeds;
    }
  }
  EXPECT_LE(ttft["kv"], 0.30 * ttft["round-robin"]);
  EXPECT_LE(ttft["kv"], 0.62 * ttft["dynamo"]);
  EXPECT_LE(ttft["kv"], 0.66 * ttft["llm-d"]);
  EXPECT_LE(ttft["kv"], 0.75 * ttft["lmetric"]);
  EXPECT_LE(ttft["kv"], 0.80 * ttft["kv-unheld"]);
}

// A prompt every ten seconds: nothing happens between a decision and the engine's admission.
TEST(Arms, ExactKnowledgeIsWhatTheEngineThenFinds) {
  SimulatedWorkload workload;
  for (uint64_t i = 0; i < 30; ++i) {
    WorkloadRow row{std::chrono::seconds(10 * i), 3000, 5, {}};
    for (uint64_t block = 0; block < 6; ++block) {
      row.hash_ids.push_back(100 * (i % 3) + (block < 4 ? block : 10 * i + block));
    }
    workload.push_back(row);
  }
  for (const char* name : {"dynamo-exact", "llm-d-exact", "lmetric-exact", "kv-unheld-exact"}) {
    const auto result = simulate_arm(*find_arm(name), workload);
    EXPECT_GT(hit_ratio(result), 0.4) << name;
    for (const SimulatedRequest& request : result.requests) {
      EXPECT_EQ(request.decision.cached_tokens, request.cached_tokens) << name;
    }
  }
}

}  // namespace
}  // namespace kvasir
