#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

// Prefills take a millisecond a token; handing over takes hop and a millisecond a token.
constexpr EndpointId kDecode{0};
constexpr EndpointId kPrefill{1};

class PredictedCostPdDecider : public PluginTest {
 protected:
  PredictedCostPdDecider() : PluginTest(2) {
    options_.profile = EngineProfile();
    options_.profile.max_num_seqs = 100;
    options_.profile.max_num_batched_tokens = 1'000'000;
    options_.profile.step.dense_ms_by_tokens = {{0, 0}, {1'000'000, 1'000'000}};
    label(0, "llm-d.ai/role", "decode");
    label(1, "llm-d.ai/role", "prefill");
  }

  std::unique_ptr<Policy> made(const char* hop = "0s", double tokens_per_ms = 1) {
    Value cost =
        parameters({{"linkGbPerS", 1.0}, {"kvBytesPerToken", 1e6 / tokens_per_ms}, {"hop", hop}});
    SchedulingConfig config;
    config.plugins = {
        {"", "fake-prefix"},
        {"", "decode-filter"},
        {"", "prefill-filter"},
        {"", "predicted-cost-pd-decider", std::move(cost)},
        {"", "disagg-profile-handler",
         parameters({{"deciders", parameters({{"prefill", "predicted-cost-pd-decider"}})}})}};
    config.profiles = {{"decode", {{"decode-filter"}}}, {"prefill", {{"prefill-filter"}}}};
    return configured(config);
  }
  Decision decide(Policy& policy, uint32_t tokens) {
    request_.prompt_tokens = tokens;
    request_.first_token_visible = true;
    return pick(policy).value();
  }
  bool goes_apart(Policy& policy, uint32_t tokens) {
    const Decision decision = decide(policy, tokens);
    EXPECT_EQ(decision.endpoint, kDecode);
    if (decision.prefill) {
      EXPECT_EQ(*decision.prefill, kPrefill);
    }
    return decision.prefill.has_value();
  }
  // One that decodes at the decoder for as long as the test.
  void leave_decoding(Policy& policy, uint32_t tokens) {
    decide(policy, tokens);
    policy.first_token(last_id_, now_);
  }
};

TEST_F(PredictedCostPdDecider, AnIdleDecoderPrefillsItself) {
  EXPECT_FALSE(goes_apart(*made(), 1000));
}

// Ahead of it at the decoder: 1,000 ms. Handing over takes tokens + hop.
TEST_F(PredictedCostPdDecider, AWaitIsWeighedAgainstTheHandover) {
  struct Row {
    uint32_t tokens;
    const char* hop;
    bool apart;
  };
  for (const Row& row : {Row{900, "0s", true}, Row{1100, "0s", false}, Row{900, "200ms", false}}) {
    const auto policy = made(row.hop);
    ASSERT_FALSE(goes_apart(*policy, 1000));
    EXPECT_EQ(goes_apart(*policy, row.tokens), row.apart) << row.tokens << " " << row.hop;
  }
}

TEST_F(PredictedCostPdDecider, WhatIsCachedAtTheDecoderStaysThere) {
  const auto policy = made();
  ASSERT_FALSE(goes_apart(*policy, 1000));
  data_.total_blocks = 900;
  data_.matched = {900, 900};
  EXPECT_TRUE(goes_apart(*policy, 900)) << "it waits, and nothing is sent";
  data_.matched = {0, 900};
  policy->ended(last_id_, now_);
  EXPECT_TRUE(goes_apart(*policy, 900));
  data_.matched = {900, 0};
  EXPECT_FALSE(goes_apart(*policy, 900));
}

TEST_F(PredictedCostPdDecider, ABusyPrefillerIsNotAskedForMore) {
  const auto policy = made();
  ASSERT_FALSE(goes_apart(*policy, 1000));
  EXPECT_TRUE(goes_apart(*policy, 500));
  EXPECT_FALSE(goes_apart(*policy, 600)) << "500 + 600 is more than 1000";
  policy->ended(last_id_, now_);
  policy->prefill_ended(last_id_ - 1, now_ + milliseconds(500));
  EXPECT_TRUE(goes_apart(*policy, 600)) << "it is free again";
}

// Sequences that stall for a second cost 20 ms each; handing over takes 1,000.
TEST_F(PredictedCostPdDecider, WhatDecodesAtTheDecoderIsSpared) {
  const auto policy = made();
  for (int i = 0; i < 60; ++i) leave_decoding(*policy, 1);
  EXPECT_TRUE(goes_apart(*policy, 1000));
  const auto few = made();
  for (int i = 0; i < 20; ++i) leave_decoding(*few, 1);
  EXPECT_FALSE(goes_apart(*few, 1000));
}

TEST_F(PredictedCostPdDecider, WhatWasPrefilledApartCountsWhereItDecodesUntilItEnds) {
  const auto policy = made();
  ASSERT_FALSE(goes_apart(*policy, 1000));
  const RequestId ahead = last_id_;
  const RequestId first = last_id_ + 1;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(goes_apart(*policy, 1));
    policy->prefill_ended(last_id_, now_);
    policy->first_token(last_id_, now_);
  }
  policy->ended(ahead, now_);
  EXPECT_TRUE(goes_apart(*policy, 1000));
  policy->ended(last_id_, now_);
  for (RequestId id = first; id < first + 60; ++id) policy->ended(id, now_);
  EXPECT_FALSE(goes_apart(*policy, 1000));
}

TEST_F(PredictedCostPdDecider, HandoversTeachWhatTheyTake) {
  const auto policy = made("0s", 10);
  for (int i = 0; i < 300; ++i, now_ += seconds(60)) {
    decide(*policy, 1000);
    const RequestId ahead = last_id_;
    if (goes_apart(*policy, 1000)) {
      policy->prefill_ended(last_id_, now_ + seconds(1));
      policy->first_token(last_id_, now_ + seconds(3));  // 2 s, where 0.1 s were predicted
    }
    policy->ended(last_id_, now_ + seconds(4));
    policy->ended(ahead, now_ + seconds(4));
  }
  ASSERT_FALSE(goes_apart(*policy, 1000));
  EXPECT_FALSE(goes_apart(*policy, 1000)) << "the way takes longer than the wait";
}

TEST_F(PredictedCostPdDecider, APrefillThatFailedTeachesNothing) {
  const auto policy = made();
  for (int i = 0; i < 300; ++i) {
    decide(*policy, 1000);
    const RequestId ahead = last_id_;
    ASSERT_TRUE(goes_apart(*policy, 900)) << i;
    policy->prefill_ended(last_id_, now_);
    policy->ended(last_id_, now_);
    policy->ended(ahead, now_);
  }
}

// Behind Envoy nobody sees the end of a prefill leg.
TEST_F(PredictedCostPdDecider, AFirstTokenSaysThatThePrefillIsOver) {
  const auto policy = made();
  ASSERT_FALSE(goes_apart(*policy, 1000));
  ASSERT_TRUE(goes_apart(*policy, 500));
  policy->first_token(last_id_, now_);
  EXPECT_TRUE(goes_apart(*policy, 600));
  policy->ended(last_id_ - 1, now_);
}

TEST_F(PredictedCostPdDecider, AnotherPrefillerOrDecoderIsBookedToo) {
  const auto policy = made();
  ASSERT_FALSE(goes_apart(*policy, 1000));
  const RequestId ahead = last_id_;
  request_.part = RequestPart::kPrompt;
  EXPECT_EQ(decide(*policy, 500).endpoint, kPrefill);
  const RequestId leg = last_id_;
  request_.part = RequestPart::kAnswer;
  EXPECT_EQ(decide(*policy, 500).endpoint, kDecode);
  policy->first_token(last_id_, now_);
  request_.part = RequestPart::kWhole;
  EXPECT_FALSE(goes_apart(*policy, 600));
  policy->ended(last_id_, now_);
  policy->ended(leg, now_);
  EXPECT_TRUE(goes_apart(*policy, 600));
  for (const RequestId id : {leg + 1, last_id_, ahead}) policy->ended(id, now_);
}

TEST_F(PredictedCostPdDecider, WithoutAPrefillerNobodyIsAsked) {
  const auto policy = made();
  label(1, "llm-d.ai/role", "decode");
  candidates_ = {kDecode};
  ASSERT_FALSE(goes_apart(*policy, 1000));
  EXPECT_FALSE(goes_apart(*policy, 10));
}

TEST_F(PredictedCostPdDecider, ScoresFavourTheLeastCost) {
  Plugin* plugin = make("predicted-cost-pd-decider").value();
  request_.prompt_tokens = 1000;
  data_.total_blocks = 1000;
  data_.matched = {500, 0};
  EXPECT_THAT(scores_of(plugin), ::testing::ElementsAre(1, 0));
  data_.matched = {0, 0};
  EXPECT_THAT(scores_of(plugin), ::testing::ElementsAre(1, 1));
}

TEST_F(PredictedCostPdDecider, WhatIsWrongIsRefused) {
  EXPECT_THAT(error_of("predicted-cost-pd-decider",
                       parameters({{"linkGbPerS", 0}, {"hop", "-1s"}, {"kvBytesPerTokn", 1}})),
              ::testing::AllOf(HasSubstr("linkGbPerS is out of range"), HasSubstr("hop is '-1s'"),
                               HasSubstr("did you mean 'kvBytesPerToken'?")));
  options_.profile = EngineProfile();
  EXPECT_THAT(error_of("predicted-cost-pd-decider"), HasSubstr("--engine-profile"));
}

}  // namespace
}  // namespace kvasir
