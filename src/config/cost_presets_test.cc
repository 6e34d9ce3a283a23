// kv and load-cost.
#include <gtest/gtest.h>

#include "base/random.h"
#include "config/preset_fixture.h"
#include "plugins/fleet_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BlockSize kTwoKiB{PromptUnit::kBytes, 2048};

// One millisecond for each token of a step and nothing else, so that d is easy to see.
EngineProfile millisecond_per_token() {
  EngineProfile profile;
  profile.max_num_batched_tokens = 100'000;
  profile.step.dense_ms_by_tokens = {{1, 1}, {200'000, 200'000}};
  return profile;
}

std::vector<BlockHash> blocks_of(uint64_t prompt, size_t count) {
  std::vector<BlockHash> blocks;
  for (size_t i = 0; i < count; ++i) blocks.push_back(mix64(prompt * 1000 + i));
  return blocks;
}

Request with_blocks(Request request, std::span<const BlockHash> blocks) {
  // Kept: requests only borrow their views.
  static std::vector<std::unique_ptr<const PromptView>> views;
  views.push_back(std::make_unique<const PromptView>(PromptView{kTwoKiB, blocks}));
  request.views = std::span(views.back().get(), 1);
  return request;
}

TimePoint at(int milliseconds_from_zero) {
  return TimePoint(milliseconds(milliseconds_from_zero));
}

class CostPresetsTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Policy> make(std::string_view policy, size_t endpoints = 2,
                                      Duration full_wait = milliseconds(300)) {
    PluginOptions options;
    options.endpoints = endpoints;
    options.profile = millisecond_per_token();
    options.hold_threshold = full_wait;
    return std::move(make_preset(policy, options).value().policy);
  }

  FakeFleet fleet_{2};
  std::unique_ptr<Policy> load_cost_ = make("load-cost");
  std::unique_ptr<Policy> kv_ = make("kv");
};

TEST_F(CostPresetsTest, OnlyKvWantsBlocks) {
  EXPECT_TRUE(load_cost_->prompt_views().empty());
  ASSERT_EQ(kv_->prompt_views().size(), 1u);
  EXPECT_EQ(*kv_->prompt_views().begin(), kTwoKiB);
}

TEST_F(CostPresetsTest, ItIsSaturatedWhenEveryEndpointHasItsFullWaitAhead) {
  const auto saturation = [&](int now) {
    return kv_->saturation(PoolContext{fleet_.snapshot, fleet_.candidates, at(now)});
  };
  EXPECT_DOUBLE_EQ(saturation(0).effective(),
                   1);  // the caller has not said yet that there are endpoints
  const auto share = [&](int now) { return saturation(now).decode; };
  EXPECT_DOUBLE_EQ(share(0), 0);
  fleet_.pick(*kv_, streamed_request(1, 600), at(0));
  EXPECT_DOUBLE_EQ(share(0), 0);  // the other is idle
  fleet_.pick(*kv_, streamed_request(2, 450), at(0));
  EXPECT_DOUBLE_EQ(share(0), 1.5);
  ASSERT_TRUE(saturation(0).falls_in);
  const Duration falls = *saturation(0).falls_in;
  EXPECT_EQ(falls, milliseconds(150) + Duration(1));
  EXPECT_DOUBLE_EQ(share(150), 1);
  EXPECT_LT(
      kv_->saturation(PoolContext{fleet_.snapshot, fleet_.candidates, TimePoint(falls)}).decode, 1);
}

TEST_F(CostPresetsTest, TheFullWaitIsWhatItIsMadeWith) {
  for (const int full_ms : {50, 300, 900}) {
    const auto policy = make("load-cost", 1, milliseconds(full_ms));
    FakeFleet fleet(1);
    fleet.pick(*policy, streamed_request(1, 450), at(0));
    const PoolContext context{fleet.snapshot, fleet.candidates, at(0)};
    EXPECT_DOUBLE_EQ(policy->saturation(context).decode, 450.0 / full_ms);
  }
}

TEST_F(CostPresetsTest, ItPredictsThePrefillWhereThePickWouldGoAndBooksNothing) {
  const auto predicted = [&](const Request& request) {
    return kv_->predicted_prefill(PickContext{request, fleet_.snapshot, fleet_.candidates, at(0)});
  };
  const std::vector<BlockHash> blocks = blocks_of(1, 2);
  const Request request = with_blocks(streamed_request(1, 2000), blocks);
  EXPECT_EQ(predicted(request), milliseconds(2000));
  EXPECT_EQ(predicted(request), milliseconds(2000));
  const Decision first = fleet_.pick(*kv_, request, at(0));
  kv_->ended(1, at(0));
  EXPECT_EQ(predicted(request), milliseconds(2000 - 1024));  // cached on the one of them
  EXPECT_EQ(fleet_.pick(*kv_, request, at(0)).endpoint, first.endpoint);
}

TEST_F(CostPresetsTest, AnIdleFleetIsUsedInTurn) {
  for (RequestId request = 1; request <= 4; ++request) {
    const Decision decision = fleet_.pick(*load_cost_, streamed_request(request));
    EXPECT_EQ(index_of(decision.endpoint), (request - 1) % 2);
    load_cost_->ended(request, {});
  }
}

// After a (3 s) and b (1 s): worker 0 costs c 3 + 2 x 2 = 7 s, worker 1 costs it 1 + 2 x 2 = 5 s.
TEST_F(CostPresetsTest, TheWaitIsTheWorkAheadInSeconds) {
  EXPECT_EQ(fleet_.pick(*load_cost_, streamed_request(1, 3000)).endpoint, EndpointId(0));
  EXPECT_EQ(fleet_.pick(*load_cost_, streamed_request(2, 1000)).endpoint, EndpointId(1));
  const Decision decision = fleet_.pick(*load_cost_, streamed_request(3, 2000));
  EXPECT_EQ(decision.endpoint, EndpointId(1));
  EXPECT_EQ(decision.predicted_wait, seconds(1));
  EXPECT_EQ(decision.predicted_prefill, seconds(2));
  EXPECT_EQ(decision.cached_tokens, 0u);
}

// Worker 0 decodes one sequence, so each step of c's prefill takes 1 ms more: d = 2.001 s and the
// cost is (2 + 0.02) x 2.001 = 4.042 s. Worker 1 still has 30 ms to prefill: 0.03 + 2 x 2 = 4.03 s,
// less; with 60 ms it is 4.06 s, more.
TEST_F(CostPresetsTest, DecodingSequencesMakeAnEndpointDearer) {
  for (const int ahead : {30, 60}) {
    const auto policy = make("load-cost");
    fleet_.pick(*policy, streamed_request(1, 40));  // worker 0
    policy->first_token(1, at(40));
    fleet_.pick(*policy, streamed_request(2, ahead), at(40));  // worker 1
    const Decision decision = fleet_.pick(*policy, streamed_request(3, 2000), at(40));
    EXPECT_EQ(decision.endpoint, EndpointId(ahead == 30 ? 1 : 0)) << ahead;
    EXPECT_EQ(decision.predicted_prefill, milliseconds(ahead == 30 ? 2000 : 2001));
  }
}

TEST_F(CostPresetsTest, ACachedPrefixAttracts) {
  const auto blocks = blocks_of(1, 16);
  fleet_.pick(*kv_, with_blocks(streamed_request(1, 8200), blocks));
  kv_->ended(1, at(0));
  const Decision decision = fleet_.pick(*kv_, with_blocks(streamed_request(2, 8200), blocks));
  EXPECT_EQ(decision.endpoint, EndpointId(0));
  EXPECT_EQ(decision.cached_tokens, 8192u);
  EXPECT_EQ(decision.predicted_prefill, milliseconds(8));
}

// A hit of 8,192 tokens saves 2 x 8.192 s: worth a wait of 16 s, not of 17 s.
TEST_F(CostPresetsTest, ACachedPrefixIsWorthTwiceItsPrefill) {
  const auto blocks = blocks_of(1, 16);
  for (const uint32_t wait_ms : {16'000u, 17'000u}) {
    const auto policy = make("kv");
    fleet_.pick(*policy, with_blocks(streamed_request(1, 8200), blocks));
    policy->ended(1, at(0));
    FakeFleet only_first(2);
    only_first.candidates = {EndpointId(0)};
    only_first.pick(*policy, streamed_request(2, wait_ms));
    const Decision decision = fleet_.pick(*policy, with_blocks(streamed_request(3, 8200), blocks));
    EXPECT_EQ(decision.endpoint, EndpointId(wait_ms == 16'000 ? 0 : 1));
    EXPECT_EQ(decision.cached_tokens, wait_ms == 16'000 ? 8192u : 0u);
  }
}

TEST_F(CostPresetsTest, CachedTokensNeverExceedThePromptAndOneTokenIsComputed) {
  const auto blocks = blocks_of(1, 4);
  fleet_.pick(*kv_, with_blocks(streamed_request(1, 1500), blocks));  // the estimate is short
  kv_->ended(1, at(0));
  const Decision decision = fleet_.pick(*kv_, with_blocks(streamed_request(2, 1500), blocks));
  EXPECT_EQ(decision.cached_tokens, 1500u);
  EXPECT_EQ(decision.predicted_prefill, milliseconds(1));
}

TEST_F(CostPresetsTest, AnUnknownPromptLengthIsOneToken) {
  const Decision decision = fleet_.pick(*kv_, streamed_request(1, 0));
  EXPECT_EQ(decision.cached_tokens, 0u);
  EXPECT_EQ(decision.predicted_prefill, milliseconds(1));
}

TEST_F(CostPresetsTest, TheIndexIsAsLargeAsTheReportedCache) {
  fleet_.snapshot.endpoints[0].kv_capacity_tokens = 3 * 512 + 100;
  const auto blocks = blocks_of(1, 16);
  fleet_.pick(*kv_, with_blocks(streamed_request(1, 8200), blocks));
  kv_->ended(1, at(0));
  fleet_.candidates = {EndpointId(0)};
  const Decision decision = fleet_.pick(*kv_, with_blocks(streamed_request(2, 8200), blocks));
  EXPECT_EQ(decision.cached_tokens, 3 * 512u);
}

// Requests of `tokens` one after the other, each answered after `actual`.
void serve(Policy& policy, const FakeFleet& fleet, uint32_t tokens, milliseconds actual) {
  TimePoint now{};
  for (RequestId request = 1000; request < 1300; ++request, now += seconds(60)) {
    fleet.pick(policy, streamed_request(request, tokens), now);
    policy.first_token(request, now + actual);
    policy.ended(request, now + actual);
  }
}

TEST_F(CostPresetsTest, TheScaleLearnsFromFirstTokens) {
  serve(*load_cost_, fleet_, 1000, seconds(3));
  const Decision decision = fleet_.pick(*load_cost_, streamed_request(1, 1000), at(100'000'000));
  EXPECT_NEAR(to_seconds(decision.predicted_prefill), 3, 0.01);
}

TEST_F(CostPresetsTest, ShortPrefillsTeachNothing) {
  serve(*load_cost_, fleet_, 50, seconds(3));
  const Decision decision = fleet_.pick(*load_cost_, streamed_request(1, 1000), at(100'000'000));
  EXPECT_EQ(decision.predicted_prefill, seconds(1));
}

TEST_F(CostPresetsTest, AWorkerThatMayRefuseToAdmitTeachesNothing) {
  for (EndpointState& state : fleet_.snapshot.endpoints) state.kv_capacity_tokens = 1100;
  serve(*load_cost_, fleet_, 1000, seconds(3));
  const Decision decision = fleet_.pick(*load_cost_, streamed_request(1, 1000), at(100'000'000));
  EXPECT_EQ(decision.predicted_prefill, seconds(1));
}

}  // namespace
}  // namespace kvasir
