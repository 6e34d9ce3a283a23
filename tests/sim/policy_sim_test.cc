// The policies on a whole simulated fleet. With the Mooncake conversation trace the gates are those
// of routing_policy.md; without it only the workloads made here are run.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/random.h"
#include "fleet_simulation.h"
#include "config/presets.h"
#include "timing/step_model.h"

namespace kvasir {
namespace {

constexpr Duration kBin = std::chrono::seconds(3);
constexpr size_t kTraceRows = 1000;

// As the earlier simulation was: its profile, and its holding threshold.
SimulationOptions options_for(std::string_view policy, uint32_t workers = 8) {
  SimulationOptions options;
  options.policy = policy;
  options.workers = workers;
  options.profile = load_engine_profile("qwen3-32b-fp8-h200-published-ab").value();
  options.hold_threshold = std::chrono::milliseconds(300);
  return options;
}

SimulationResult simulate(const SimulatedWorkload& workload, const SimulationOptions& options) {
  auto result = simulate_fleet(workload, options);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return std::move(result).value();
}

WorkloadRow row(Duration arrival, uint32_t input_tokens, uint32_t output_tokens, uint64_t topic) {
  WorkloadRow row{arrival, input_tokens, output_tokens, {}};
  for (uint32_t i = 0; i * kMooncakeBlockTokens < input_tokens; ++i) {
    row.hash_ids.push_back(topic * 1000 + i);
  }
  return row;
}

// Ten topics, each a prompt of 6,000 tokens that is asked for again and again.
SimulatedWorkload made_workload() {
  SimulatedWorkload workload;
  Random random(5);
  for (int i = 0; i < 200; ++i) {
    workload.push_back(row(std::chrono::milliseconds(400 * i), 6000,
                           10 + static_cast<uint32_t>(random.below(100)), random.below(10)));
  }
  return workload;
}

TEST(FleetSimulation, AnIdleWorkersFirstTokenTakesThePredictedPrefill) {
  for (const uint32_t tokens : {100u, 8192u, 40'000u}) {
    const SimulatedWorkload workload = {row(Duration::zero(), tokens, 5, 1)};
    const auto options = options_for("kv", 1);
    const auto result = simulate(workload, options);
    const StepModel model(options.profile.step);
    const double expected =
        model.prefill_seconds(tokens, 0, options.profile.max_num_batched_tokens);
    EXPECT_NEAR(mean_ttft_seconds(result), expected, 0.01 * expected) << tokens;
    EXPECT_NEAR(to_seconds(result.requests[0].decision.predicted_prefill), expected, 1e-6);
  }
}

TEST(FleetSimulation, EveryPolicyAnswersEveryRequestInFull) {
  const SimulatedWorkload workload = made_workload();
  for (const std::string_view policy : policy_names()) {
    const auto result = simulate(workload, options_for(policy, 4));
    for (size_t i = 0; i < workload.size(); ++i) {
      EXPECT_EQ(result.requests[i].output_tokens, workload[i].output_tokens);
      EXPECT_LE(result.requests[i].cached_tokens, workload[i].input_tokens);
      EXPECT_GT(result.requests[i].time_to_first_token, Duration::zero());
      EXPECT_GE(result.requests[i].latency, result.requests[i].time_to_first_token);
    }
  }
}

TEST(FleetSimulation, RoundRobinSharesAreWithinOne) {
  const SimulatedWorkload workload = made_workload();
  std::map<EndpointId, int> share;
  for (const auto& request : simulate(workload, options_for("round-robin", 7)).requests) {
    ++share[request.decision.endpoint];
  }
  ASSERT_EQ(share.size(), 7u);
  for (const auto& [endpoint, count] : share) EXPECT_TRUE(count == 28 || count == 29) << count;
}

TEST(FleetSimulation, KvKeepsTopicsWhereTheyAreCached) {
  const SimulatedWorkload workload = made_workload();
  const auto kv = simulate(workload, options_for("kv", 4));
  const auto round_robin = simulate(workload, options_for("round-robin", 4));
  EXPECT_GT(hit_ratio(kv), 1.1 * hit_ratio(round_robin));
  EXPECT_LT(mean_ttft_seconds(kv), mean_ttft_seconds(round_robin));
}

TEST(FleetSimulation, KvServesInvisibleFirstTokensToo) {
  const SimulatedWorkload workload = made_workload();
  auto options = options_for("kv", 4);
  options.first_tokens_visible = false;
  const auto result = simulate(workload, options);
  EXPECT_GT(hit_ratio(result), 0.7);
}

TEST(FleetSimulation, ARowThatIsTooLongIsRefusedAndHasNoTimes) {
  const SimulatedWorkload workload = {row(Duration::zero(), 200'000, 5, 1),
                                      row(Duration::zero(), 2000, 5, 2)};
  const auto result = simulate(workload, options_for("kv", 1));
  EXPECT_TRUE(result.requests[0].refused);
  EXPECT_FALSE(result.requests[1].refused);
  EXPECT_EQ(served(result), 1u);
  EXPECT_GT(mean_ttft_seconds(result), 0);
}

TEST(FleetSimulation, AnUnknownPolicyIsAnError) {
  EXPECT_FALSE(simulate_fleet({}, options_for("banana")).ok());
}

// So many requests at once that they wait, longest prompts first.
SimulatedWorkload crowded_workload() {
  SimulatedWorkload workload;
  for (uint32_t i = 0; i < 40; ++i) {
    workload.push_back(row(std::chrono::milliseconds(i), 12'000 - 250 * i, 5, 100 + i));
  }
  return workload;
}

TEST(FleetSimulation, AnIdleFleetServesHeldAndUnheldAlike) {
  SimulatedWorkload workload;
  for (uint32_t i = 0; i < 20; ++i) {
    workload.push_back(row(std::chrono::seconds(10 * i), 1000 + 500 * i, 20, i % 5));
  }
  auto options = options_for("kv", 2);
  const auto unheld = simulate(workload, options);
  options.hold = true;
  const auto held = simulate(workload, options);
  for (size_t i = 0; i < workload.size(); ++i) {
    EXPECT_EQ(held.requests[i].held, Duration::zero());
    EXPECT_EQ(held.requests[i].time_to_first_token, unheld.requests[i].time_to_first_token);
  }
}

TEST(FleetSimulation, HoldingAnswersAllAndLetsShortPromptsGoFirst) {
  const SimulatedWorkload workload = crowded_workload();
  auto options = options_for("kv", 2);
  const auto unheld = simulate(workload, options);
  options.hold = true;
  const auto held = simulate(workload, options);
  size_t waited = 0;
  for (size_t i = 0; i < workload.size(); ++i) {
    EXPECT_EQ(held.requests[i].output_tokens, 5u);
    waited += held.requests[i].held > Duration::zero();
  }
  EXPECT_GT(waited, 30u);
  EXPECT_LT(held.requests.back().time_to_first_token, held.requests[5].time_to_first_token);
  EXPECT_LT(mean_ttft_seconds(held), 0.8 * mean_ttft_seconds(unheld));
}

TEST(FleetSimulation, TwoHeldRunsAgreeToTheLastEvent) {
  const SimulatedWorkload workload = crowded_workload();
  auto options = options_for("kv", 2);
  options.hold = true;
  EXPECT_EQ(simulate(workload, options).tokens_hash, simulate(workload, options).tokens_hash);
}

std::string trace_file() {
  const char* data = std::getenv("KVASIR_DATA_DIR");
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  const std::filesystem::path folder =
      data ? std::filesystem::path(data)
           : std::filesystem::path(source ? source : ".") / "../shared/data";
  return folder / "mooncake/conversation_trace.jsonl";
}

class ConversationTrace : public ::testing::Test {
 protected:
  // The rows and their prompts are read once for all tests.
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(trace_file())) return;
    auto rows = read_workload(trace_file(), kTraceRows);
    ASSERT_TRUE(rows.ok()) << rows.error().message;
    binned_ = std::move(rows).value();
  }
  static void TearDownTestSuite() { binned_ = {}; }
  void SetUp() override {
    if (binned_.empty()) GTEST_SKIP() << "no trace at " << trace_file() << " (KVASIR_DATA_DIR)";
  }

  static SimulationResult run(std::string_view policy) {
    SimulatedWorkload workload = binned_;
    spread_evenly(workload, kBin);
    return simulate(workload, options_for(policy));
  }
  static SimulationResult run_jittered(const SimulationOptions& options, uint64_t seed, double pace = 1) {
    SimulatedWorkload workload = binned_;
    spread_at_random(workload, kBin, seed);
    hurry(workload, pace);
    return simulate(workload, options);
  }
  // Mean over the arrival seeds 1 to `seeds`.
  static double ttft_over_arrivals(const SimulationOptions& options, uint64_t seeds) {
    double sum = 0;
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      sum += mean_ttft_seconds(run_jittered(options, seed));
    }
    return sum / static_cast<double>(seeds);
  }

  static inline SimulatedWorkload binned_;
};

TEST_F(ConversationTrace, TwoRunsAgreeToTheLastEvent) {
  const auto first = run_jittered(options_for("kv"), 1);
  const auto second = run_jittered(options_for("kv"), 1);
  EXPECT_EQ(first.tokens_hash, second.tokens_hash);
  EXPECT_NE(first.tokens_hash, run_jittered(options_for("kv"), 2).tokens_hash);
}

void print(std::string_view policy, const SimulationResult& result) {
  std::printf("%-12.*s TTFT mean %6.2f s  p50 %6.2f s  p99 %6.2f s  ITL %6.1f ms  hits %.4f\n",
              static_cast<int>(policy.size()), policy.data(), mean_ttft_seconds(result),
              ttft_percentile_seconds(result, 0.5), ttft_percentile_seconds(result, 0.99),
              inter_token_ms(result), hit_ratio(result));
}

// routing_policy.md §3 forecasts no harm at the trace's own pace and much less TTFT beyond saturation.
TEST_F(ConversationTrace, HoldingCutsTheWaitOfAnOverloadedFleet) {
  constexpr uint64_t kSeeds = 5;
  struct Arm {
    double pace;  // times the trace's
    uint64_t kv_tokens;
    double most;  // of the mean TTFT without holding
  };
  for (const auto& [pace, kv_tokens, most] : {Arm{1, 2'000'000, 1.05}, Arm{1, 370'000, 1.05},
                                              Arm{1.3, 370'000, 0.8}, Arm{2, 370'000, 0.5}}) {
    auto options = options_for("kv");
    options.profile.kv_tokens = kv_tokens;
    double unheld = 0;
    double held = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      options.hold = false;
      unheld += mean_ttft_seconds(run_jittered(options, seed, pace)) / kSeeds;
      options.hold = true;
      held += mean_ttft_seconds(run_jittered(options, seed, pace)) / kSeeds;
    }
    std::printf("pace %.1f, %4llu k tokens of cache: kv %.2f s, held %.2f s\n", pace,
                static_cast<unsigned long long>(kv_tokens / 1000), unheld, held);
    EXPECT_LE(held, most * unheld) << pace;
  }
}

// What an earlier simulation gave, whose door, flow settings and queue of events were its own.
// Where nobody is held the gateway's Pool decides alike, request by request.
TEST_F(ConversationTrace, ThePoolDecidesAsTheEarlierSimulationDid) {
  struct Arm {
    const char* policy;
    double ttft_seconds;
    double hits;
  };
  for (const Arm& arm : {Arm{"round-robin", 15.045136, 0.051525},
                         Arm{"load-cost", 2.527981, 0.050928}, Arm{"kv", 1.958644, 0.118156}}) {
    const auto result = run(arm.policy);
    EXPECT_NEAR(mean_ttft_seconds(result), arm.ttft_seconds, 1e-5) << arm.policy;
    EXPECT_NEAR(hit_ratio(result), arm.hits, 1e-6) << arm.policy;
  }
}

// Held requests are let go in turns of the executor now, which changes who meets whom; not the
// mean.
TEST_F(ConversationTrace, ThePoolHoldsAsTheEarlierSimulationDid) {
  constexpr uint64_t kSeeds = 20;
  struct Arm {
    const char* policy;
    double ttft_seconds;
    double hits;
  };
  for (const Arm& arm : {Arm{"load-cost", 2.30508, 0.04972}, Arm{"kv", 2.02434, 0.09934}}) {
    auto options = options_for(arm.policy);
    options.hold = true;
    double ttft = 0;
    double hits = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const auto result = run_jittered(options, seed);
      ttft += mean_ttft_seconds(result) / kSeeds;
      hits += hit_ratio(result) / kSeeds;
    }
    std::printf("%s, held: TTFT %.3f s (then %.3f), hits %.4f (%.4f)\n", arm.policy, ttft,
                arm.ttft_seconds, hits, arm.hits);
    EXPECT_NEAR(ttft / arm.ttft_seconds, 1, 0.01) << arm.policy;
    EXPECT_NEAR(hits, arm.hits, 0.002) << arm.policy;
  }
}

TEST_F(ConversationTrace, KvBeatsTheBaselines) {
  std::map<std::string_view, SimulationResult> results;
  for (const std::string_view policy : policy_names()) {
    results[policy] = run(policy);
    print(policy, results[policy]);
  }
  const double kv = mean_ttft_seconds(results["kv"]);
  EXPECT_LE(kv, 0.30 * mean_ttft_seconds(results["round-robin"]));
  EXPECT_LE(kv, 0.65 * mean_ttft_seconds(results["least-load"]));
  EXPECT_GE(hit_ratio(results["kv"]), 1.3 * hit_ratio(results["load-cost"]));
}

TEST_F(ConversationTrace, KnowingPrefixesIsWorthEightPercentOverManyArrivals) {
  constexpr uint64_t kSeeds = 20;
  const double kv = ttft_over_arrivals(options_for("kv"), kSeeds);
  const double load_cost = ttft_over_arrivals(options_for("load-cost"), kSeeds);
  std::printf("over %d arrivals: kv %.3f s, load-cost %.3f s, %.1f %% less\n",
              static_cast<int>(kSeeds), kv, load_cost, 100 * (1 - kv / load_cost));
  EXPECT_LE(kv, 0.92 * load_cost);
}

EngineProfile times(double factor, EngineProfile profile) {
  StepTimes& step = profile.step;
  for (auto& point : step.dense_ms_by_tokens) point.second *= factor;
  for (double* ms : {&step.overhead_ms, &step.prefill_attention_ms, &step.decode_attention_ms,
                     &step.sampling_floor_ms, &step.sampling_ms_per_row}) {
    *ms *= factor;
  }
  return profile;
}

TEST_F(ConversationTrace, TheLearnedScaleMakesUpForAModelWrongByAFactorOfFour) {
  constexpr uint64_t kSeeds = 10;
  auto options = options_for("kv");
  const double right = ttft_over_arrivals(options, kSeeds);
  for (const double factor : {0.25, 4.0}) {
    options.predicted_profile = times(factor, options.profile);
    const double wrong = ttft_over_arrivals(options, kSeeds);
    std::printf("model x %.2f: kv %.3f s instead of %.3f s\n", factor, wrong, right);
    EXPECT_LE(wrong, 1.05 * right);
  }
}

TEST_F(ConversationTrace, HoldingForgivesAWrongModelAndInvisibleFirstTokens) {
  constexpr uint64_t kSeeds = 5;
  auto options = options_for("kv");
  const double unheld = ttft_over_arrivals(options, kSeeds);
  options.hold = true;
  for (const double factor : {0.25, 4.0}) {
    options.predicted_profile = times(factor, options.profile);
    const double wrong = ttft_over_arrivals(options, kSeeds);
    std::printf("model x %.2f: held %.3f s, kv %.3f s\n", factor, wrong, unheld);
    EXPECT_LE(wrong, 1.1 * unheld);
  }
  options.predicted_profile.reset();
  options.first_tokens_visible = false;
  const double invisible = ttft_over_arrivals(options, kSeeds);
  options.hold = false;
  const double unheld_invisible = ttft_over_arrivals(options, kSeeds);
  std::printf("invisible first tokens: held %.3f s, kv %.3f s\n", invisible, unheld_invisible);
  EXPECT_LE(invisible, 1.1 * unheld_invisible);
}

TEST_F(ConversationTrace, KvStaysAheadWhenFirstTokensAreInvisible) {
  auto options = options_for("kv");
  options.first_tokens_visible = false;
  const double kv = ttft_over_arrivals(options, 5);
  EXPECT_LE(kv, 0.65 * ttft_over_arrivals(options_for("least-load"), 5));
}

}  // namespace
}  // namespace kvasir
