// Every way to route on the small conversation trace of examples/, with the profile that was
// measured. `make policy-table` runs the same on traces of any size.
#include "arms.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

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

std::string data_file(const std::string& name) {
  const char* data = std::getenv("KVASIR_DATA_DIR");
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  const std::string folder =
      data ? std::string(data) : std::string(source ? source : ".") + "/../shared/data";
  return folder + "/mooncake/" + name;
}

// Means over arrivals, by arm, as `make policy-table` gives them.
std::map<std::string_view, double> mean_ttft(
    const std::vector<std::string_view>& arms, const EngineProfile& profile, uint64_t seeds,
    const std::function<SimulatedWorkload(uint64_t seed)>& arrivals) {
  std::map<std::string_view, double> ttft;
  for (const std::string_view name : arms) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      const auto result = simulate_fleet(arrivals(seed), options_of(*find_arm(name), profile));
      EXPECT_TRUE(result.ok()) << name;
      ttft[name] += mean_ttft_seconds(*result) / static_cast<double>(seeds);
    }
    std::printf("%-12s TTFT mean %.3f s\n", std::string(name).c_str(), ttft[name]);
  }
  return ttft;
}

EngineProfile measured_profile(uint32_t max_model_len = 0) {
  EngineProfile profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  profile.kv_tokens = 370'000;
  if (max_model_len > 0) profile.max_model_len = max_model_len;
  return profile;
}

// The rows of a published A/B, as it replayed them.
TEST(Arms, KvTakesLessThanHalfOfDynamosTimeOnThePublishedRows) {
  const auto rows = read_workload(data_file("arxiv_first_1000.jsonl"));
  if (!rows) GTEST_SKIP() << rows.error().message << " (KVASIR_DATA_DIR)";
  auto ttft = mean_ttft({"dynamo", "dynamo-exact", "lmetric-exact", "kv"}, measured_profile(40'960),
                        8, [&](uint64_t seed) {
                          SimulatedWorkload workload = *rows;
                          hurry(workload, 4);
                          delay_at_random(workload, std::chrono::milliseconds(40), seed);
                          return workload;
                        });
  EXPECT_LE(ttft["kv"], 0.45 * ttft["dynamo"]);
  EXPECT_NEAR(ttft["dynamo-exact"] / 5.810, 1, 0.1);
  EXPECT_NEAR(ttft["lmetric-exact"] / 3.884, 1, 0.1);
}

// The whole conversation trace, 1.3 times faster. The forecasts were made with exact knowledge.
TEST(Arms, OtherRoutersRulesDoHereWhatWasForecastOfThem) {
  const auto rows = read_workload(data_file("conversation_trace.jsonl"));
  if (!rows) GTEST_SKIP() << rows.error().message << " (KVASIR_DATA_DIR)";
  auto ttft = mean_ttft({"dynamo", "llm-d", "kv", "dynamo-exact", "llm-d-exact-all-waiting",
                         "lmetric-exact", "kv-unheld-exact"},
                        measured_profile(), 1, [&](uint64_t seed) {
                          SimulatedWorkload workload = *rows;
                          spread_at_random(workload, std::chrono::seconds(3), seed);
                          hurry(workload, 1.3);
                          return workload;
                        });
  EXPECT_NEAR(ttft["dynamo-exact"] / 2.964, 1, 0.1);
  // The forecast counted a prompt as waiting until its first token.
  EXPECT_NEAR(ttft["llm-d-exact-all-waiting"] / 2.676, 1, 0.1);
  EXPECT_NEAR(ttft["lmetric-exact"] / 2.595, 1, 0.1);
  EXPECT_NEAR(ttft["kv-unheld-exact"] / 2.559, 1, 0.1);
  EXPECT_LE(ttft["kv"], 0.72 * ttft["dynamo"]);
  EXPECT_LE(ttft["kv"], 0.78 * ttft["llm-d"]);
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
  for (const char* name : {"dynamo-exact", "llm-d-exact", "lmetric-exact", "kv-unheld-exact",
                           "kv-unheld-events", "kv-events"}) {
    const auto result = simulate_arm(*find_arm(name), workload);
    EXPECT_GT(hit_ratio(result), 0.4) << name;
    for (const SimulatedRequest& request : result.requests) {
      EXPECT_EQ(request.decision.cached_tokens, request.cached_tokens) << name;
    }
  }
}

}  // namespace
}  // namespace kvasir
