#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A millisecond for each token of a prompt, nothing for a step or a decoded token.
EngineProfile millisecond_per_token() {
  EngineProfile profile;
  profile.max_num_seqs = 100;
  profile.max_num_batched_tokens = 1'000'000;
  profile.step.dense_ms_by_tokens = {{0, 0}, {1'000'000, 1'000'000}};
  return profile;
}

class PredictedCostPicker : public PluginTest {
 protected:
  PredictedCostPicker() { options_.profile = millisecond_per_token(); }

  std::unique_ptr<Policy> made(Value value = {}) {
    return policy({{"", "fake-prefix"}, {"", "predicted-cost-picker", std::move(value)}});
  }
  Decision decide(Policy& policy, uint32_t tokens) {
    request_.prompt_tokens = tokens;
    request_.first_token_visible = true;
    return pick(policy).value();
  }
};

// Costs are wait + 2 d: after 3 s on a and 1 s on b, c is free; then 0.5 s on c is the least.
TEST_F(PredictedCostPicker, TheLeastSecondsOfWorkWin) {
  const auto policy = made();
  EXPECT_EQ(decide(*policy, 3000).endpoint, EndpointId(0));
  EXPECT_EQ(decide(*policy, 1000).endpoint, EndpointId(1));
  EXPECT_EQ(decide(*policy, 500).endpoint, EndpointId(2));
  EXPECT_EQ(decide(*policy, 100).endpoint, EndpointId(2));
}

// 1000 tokens cached on a save 2 s: worth a wait of 1.9 s there, not of 2.1 s.
TEST_F(PredictedCostPicker, ACachedPrefixIsWorthTwiceItsPrefill) {
  for (const uint32_t wait : {1900u, 2100u}) {
    const auto policy = made();
    data_.matched = {0, 0, 0};
    ASSERT_EQ(decide(*policy, wait).endpoint, EndpointId(0));
    data_.matched = {1000, 0, 0};
    data_.total_blocks = 1500;
    const Decision decision = decide(*policy, 1500);
    EXPECT_EQ(decision.endpoint, EndpointId(wait == 1900 ? 0 : 1)) << wait;
    EXPECT_EQ(decision.cached_tokens, wait == 1900 ? 1000u : 0u);
  }
}

TEST_F(PredictedCostPicker, WhatEndsIsNoWorkAnyMore) {
  const auto policy = made();
  decide(*policy, 1000);
  policy->ended(last_id_, now_);
  decide(*policy, 1);
  decide(*policy, 1);
  EXPECT_EQ(decide(*policy, 1).endpoint, EndpointId(0)) << "the turn of the one that is free";
}

TEST_F(PredictedCostPicker, FirstTokensTeachTheScale) {
  const auto policy = made();
  for (int i = 0; i < 300; ++i, now_ += std::chrono::seconds(60)) {
    decide(*policy, 1000);
    now_ += std::chrono::seconds(3);  // three times as long as predicted
    policy->first_token(last_id_, now_);
    policy->ended(last_id_, now_);
  }
  // Four seconds into the prefill of 1,900 tokens on b: with the scale it is due in 1.7 s, and a
  // cold prefill on a costs 6; without it b would be 2.1 s overdue, and a cost 2.
  candidates_ = {EndpointId(1)};
  decide(*policy, 1900);
  candidates_ = {EndpointId(0), EndpointId(1)};
  now_ += std::chrono::seconds(4);
  data_.matched = {0, 1000, 0};
  data_.total_blocks = 1000;
  EXPECT_EQ(decide(*policy, 1000).endpoint, EndpointId(1));
}

TEST_F(PredictedCostPicker, FallbacksAreTheNextCheapest) {
  const auto policy = made(parameters({{"maxNumOfEndpoints", 3}}));
  data_.matched = {0, 500, 900};
  data_.total_blocks = 1000;
  const Decision decision = decide(*policy, 1000);
  EXPECT_EQ(decision.endpoint, EndpointId(2));
  ASSERT_EQ(decision.fallback_count, 2);
  EXPECT_EQ(decision.fallbacks[0], EndpointId(1));
  EXPECT_EQ(decision.fallbacks[1], EndpointId(0));
}

TEST_F(PredictedCostPicker, WhatItCannotWorkWithIsRefused) {
  EXPECT_THAT(
      policy_error({{{"", "predicted-cost-picker", {}, 3}}, {{"one"}, {"two"}}}),
      HasSubstr("line 3: predicted-cost-picker: works in configurations with one scheduling "
                "profile, not 2"));
  options_.profile = {};
  EXPECT_THAT(error_of("predicted-cost-picker"), HasSubstr("needs an engine profile"));
  options_.allow_alpha = false;
  EXPECT_THAT(error_of("predicted-cost-picker"), HasSubstr("is experimental"));
}

// a has 3 s ahead of it, b 0.45 s; c takes no part.
TEST_F(PredictedCostPicker, AsADetectorItIsFullWhenEveryEndpointHasTheWaitOfItsParameter) {
  candidates_ = {EndpointId(0), EndpointId(1)};
  FlowControlConfig flow;
  flow.saturation_detector = "predicted-cost-picker";
  struct {
    Value parameters;
    double expected;
  } cases[] = {{parameters({{"saturatedWait", "900ms"}}), .5},
               {parameters({{"saturatedWait", "450ms"}}), 1},
               {{}, 9}};  // 50 ms
  for (auto& [value, expected] : cases) {
    const SchedulingConfig config{
        {{"", "fake-prefix"}, {"", "predicted-cost-picker", std::move(value)}}, {}, flow, true};
    const auto policy = configured(config);
    const auto saturation = [&] {
      return policy->saturation(PoolContext{fleet_, candidates_, now_});
    };
    EXPECT_DOUBLE_EQ(saturation().decode, 0);
    decide(*policy, 3000);
    decide(*policy, 450);
    EXPECT_DOUBLE_EQ(saturation().decode, expected);
    ASSERT_TRUE(saturation().falls_in);
    const Duration full = from_seconds(0.45 / expected);
    const Duration expected_fall = expected < 1 ? Duration::zero() : milliseconds(450) - full;
    EXPECT_NEAR(to_seconds(*saturation().falls_in), to_seconds(expected_fall), 1e-8);
  }
}

TEST_F(PredictedCostPicker, WithoutTheParameterTheFullWaitIsTheProgramsHoldThreshold) {
  candidates_ = {EndpointId(0)};
  options_.hold_threshold = milliseconds(500);
  FlowControlConfig flow;
  flow.saturation_detector = "predicted-cost-picker";
  const auto policy = configured(
      SchedulingConfig{{{"", "fake-prefix"}, {"", "predicted-cost-picker"}}, {}, flow, true});
  decide(*policy, 250);
  EXPECT_DOUBLE_EQ(policy->saturation(PoolContext{fleet_, candidates_, now_}).decode, 0.5);
  EXPECT_THAT(error_of("predicted-cost-picker", parameters({{"saturatedWait", "0s"}})),
              HasSubstr("saturatedWait must be above 0"));
}

}  // namespace
}  // namespace kvasir
