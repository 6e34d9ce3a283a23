// When predicted-cost-pd-decider prefills apart, and what that is worth: two workers that prefill
// and two that do both, on virtual time.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "base/random.h"
#include "fleet_simulation.h"

namespace kvasir {
namespace {

constexpr Duration kLength = std::chrono::seconds(120);

// `decider`: a line of the configuration; empty: nothing is prefilled apart.
std::string configuration(const std::string& decider) {
  const std::string handler = decider.empty() ? "" : ", parameters: {deciders: {prefill: decider}}";
  return "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: "
         "EndpointPickerConfig\nplugins:\n"
         "- {type: disagg-profile-handler" +
         handler + "}\n" + decider +
         R"(- type: decode-filter
- type: prefill-filter
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: active-request-scorer}, {pluginRef: max-score-picker}]}
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: active-request-scorer}, {pluginRef: max-score-picker}]}
)";
}

struct Outcome {
  double apart = 0, ttft_s = 0, itl_ms = 0;
};

struct Conditions {
  double requests_per_s = 1;
  uint32_t prompt_tokens = 4000;
  double link_gb_per_s = 25;
};

// Prompts that share nothing.
SimulatedWorkload workload_of(const Conditions& conditions) {
  SimulatedWorkload workload;
  Random random(7);
  const auto count = static_cast<uint64_t>(conditions.requests_per_s * to_seconds(kLength));
  for (uint64_t i = 0; i < count; ++i) {
    WorkloadRow row;
    row.arrival = kLength * static_cast<int64_t>(i) / static_cast<int64_t>(count) +
                  std::chrono::milliseconds(random.below(100));
    row.input_tokens = conditions.prompt_tokens / 2 +
                       static_cast<uint32_t>(random.below(conditions.prompt_tokens));
    row.output_tokens = 100;
    for (uint32_t block = 0; block * kMooncakeBlockTokens < row.input_tokens; ++block) {
      row.hash_ids.push_back(i * 1000 + block);
    }
    workload.push_back(std::move(row));
  }
  return workload;
}

Outcome run(const std::string& decider, const Conditions& conditions) {
  SimulationOptions options;
  options.config = configuration(decider);
  options.workers = 4;
  options.roles = {"prefill", "prefill", "decode", "decode"};
  options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  options.link_gb_per_s = conditions.link_gb_per_s;
  const auto result = simulate_fleet(workload_of(conditions), options);
  EXPECT_TRUE(result.ok()) << result.error().message;
  if (!result.ok()) return {};
  EXPECT_EQ(served(*result), result->requests.size());
  return {apart_ratio(*result), mean_ttft_seconds(*result), inter_token_ms(*result)};
}

Outcome never(const Conditions& conditions) {
  return run("", conditions);
}
Outcome always(const Conditions& conditions) {
  return run("- {name: decider, type: always-disagg-pd-decider}\n", conditions);
}
Outcome by_cost(const Conditions& conditions) {
  char decider[128];
  std::snprintf(
      decider, sizeof decider,
      "- {name: decider, type: predicted-cost-pd-decider, parameters: {linkGbPerS: %g}}\n",
      conditions.link_gb_per_s);
  return run(decider, conditions);
}

void show(const char* name, const Conditions& conditions) {
  const Outcome runs[] = {never(conditions), by_cost(conditions), always(conditions)};
  std::printf("%-22s %4.1f/s %6u tokens %6.2f GB/s |", name, conditions.requests_per_s,
              conditions.prompt_tokens, conditions.link_gb_per_s);
  for (const Outcome& one : runs) {
    std::printf(" %3.0f %% apart, TTFT %6.0f ms, ITL %5.1f ms |", 100 * one.apart,
                1000 * one.ttft_s, one.itl_ms);
  }
  std::printf("\n");
}

TEST(PdDecision, OverASlowLinkNothingGoesApart) {
  const Conditions slow{2, 4000, 0.1};
  const Outcome cost = by_cost(slow);
  const Outcome none = never(slow);
  EXPECT_LT(cost.apart, 0.02);
  EXPECT_NEAR(cost.ttft_s, none.ttft_s, 0.1 * none.ttft_s);
  EXPECT_GT(always(slow).ttft_s, 5 * none.ttft_s);
}

TEST(PdDecision, AnIdleFleetPrefillsWhereItDecodes) {
  const Conditions idle{0.2, 4000, 25};
  EXPECT_LT(by_cost(idle).apart, 0.2);
  EXPECT_LE(by_cost(idle).ttft_s, always(idle).ttft_s);
}

TEST(PdDecision, UnderLoadBothKindsOfWorkerPrefill) {
  const Conditions busy{8, 4000, 25};
  const Outcome none = never(busy), cost = by_cost(busy), all = always(busy);
  EXPECT_GT(cost.apart, 0.3);
  EXPECT_LT(cost.apart, 0.95);
  EXPECT_LT(cost.ttft_s, none.ttft_s);
  EXPECT_LT(cost.ttft_s, all.ttft_s);
  EXPECT_LT(cost.itl_ms, none.itl_ms);
}

TEST(PdDecision, OverloadOverASlowLinkIsSharedAsFarAsTheLinkIsWorthIt) {
  const Conditions slow{8, 4000, 1};
  const Outcome cost = by_cost(slow);
  EXPECT_GT(cost.apart, 0.05);
  EXPECT_LT(cost.apart, 0.3);
  EXPECT_LT(cost.ttft_s, 0.5 * never(slow).ttft_s);
  EXPECT_LT(cost.ttft_s, 0.5 * always(slow).ttft_s);
}

TEST(PdDecision, TheTable) {
  std::printf("%-22s %s\n", "", "never | by cost | always");
  show("idle", {0.2, 4000, 25});
  show("some load", {2, 4000, 25});
  show("busy", {8, 4000, 25});
  show("busy, long prompts", {1.5, 20'000, 25});
  show("busy, slow link", {8, 4000, 1});
  show("some load, disk", {2, 4000, 0.1});
}

}  // namespace
}  // namespace kvasir
