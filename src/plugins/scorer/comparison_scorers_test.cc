// dynamo-cost-scorer and lmetric-scorer: other routers' rules, from their formulas.
#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Pointwise;

class ComparisonScorers : public PluginTest {
 protected:
  // A policy that decides by that scorer alone. `faked`: what is in flight is what data_.loads
  // says.
  std::unique_ptr<Policy> ruled_by(const std::string& scorer, bool faked = true) {
    std::vector<PluginConfig> plugins = {{"", "fake-prefix"}};
    if (faked) plugins.push_back({"", "fake-loads"});
    plugins.push_back({"", scorer});
    return policy(std::move(plugins));
  }
  Decision decide(Policy& policy, uint32_t tokens) {
    request_.prompt_tokens = tokens;
    request_.first_token_visible = true;
    return pick(policy).value();
  }
  // The costs of the candidates as they show in the scores: 1 for the least, 0 for the greatest.
  static std::vector<double> scores_of_costs(const std::vector<double>& costs) {
    const auto [least, most] = std::minmax_element(costs.begin(), costs.end());
    std::vector<double> scores;
    for (const double cost : costs) scores.push_back((*most - cost) / (*most - *least));
    return scores;
  }
};

MATCHER(Near, "") {
  return std::abs(std::get<0>(arg) - std::get<1>(arg)) < 1e-12;
}

TEST_F(ComparisonScorers, LMetricMultipliesTokensToPrefillByRequests) {
  request_.prompt_tokens = 1000;
  data_.block_tokens = 100;
  data_.matched = {0, 6, 10};
  data_.total_blocks = 10;
  data_.loads = {{0, 0}, {3, 200}, {9, 40}};
  EXPECT_THAT(scores("lmetric-scorer"),
              Pointwise(Near(), scores_of_costs({1000 * 1, (200 + 400) * 4, (40 + 0) * 10})));
}

TEST_F(ComparisonScorers, DynamoAddsTokensToPrefillAndTheBlocksOfWhatRuns) {
  request_.prompt_tokens = 1000;
  data_.block_tokens = 100;
  data_.matched = {0, 6, 10};
  data_.total_blocks = 10;
  data_.loads = {{0, 0}, {3, 200}, {9, 40}};
  EXPECT_THAT(scores("dynamo-cost-scorer"),
              Pointwise(Near(), scores_of_costs({1000 / 16., 600 / 16., 40 / 16.})));
}

// Costs in blocks after 1600 tokens on a (200: 100 to prefill and 100 in use) and 800 on b (100).
TEST_F(ComparisonScorers, DynamoCountsBlocksUntilTheRequestEnds) {
  candidates_ = {EndpointId(0), EndpointId(1)};
  const auto policy = ruled_by("dynamo-cost-scorer", false);
  EXPECT_EQ(decide(*policy, 1600).endpoint, EndpointId(0));
  const RequestId on_a = last_id_;
  EXPECT_EQ(decide(*policy, 800).endpoint, EndpointId(1));
  const RequestId on_b = last_id_;
  policy->first_token(on_a, now_);                          // a: 100, as b
  policy->first_token(on_b, now_);                          // b: 50
  EXPECT_EQ(decide(*policy, 160).endpoint, EndpointId(1));  // b: 70
  EXPECT_EQ(decide(*policy, 160).endpoint, EndpointId(1));  // b: 90
  EXPECT_EQ(decide(*policy, 176).endpoint, EndpointId(1));  // b: 112
  EXPECT_EQ(decide(*policy, 16).endpoint, EndpointId(0));   // a: 102
  policy->ended(on_b, now_);                                // b: 62
  EXPECT_EQ(decide(*policy, 16).endpoint, EndpointId(1));
}

// a holds the prompt and has 10 blocks in use, b has 10 blocks to compute.
TEST_F(ComparisonScorers, DynamosPrefillWeighsWhatTheParameterSays) {
  data_.block_tokens = 100;
  data_.total_blocks = 10;
  data_.matched = {10, 0};
  for (const auto& [weight, expected] : {std::pair{1.1, 0u}, std::pair{0.9, 1u}}) {
    const auto policy =
        this->policy({{"", "fake-prefix"},
                      {"", "fake-loads"},
                      {"", "dynamo-cost-scorer",
                       parameters({{"overlapScoreWeight", weight}, {"blockSize", 100}})}});
    candidates_ = {EndpointId(0)};
    decide(*policy, 1000);
    candidates_ = {EndpointId(0), EndpointId(1)};
    EXPECT_EQ(decide(*policy, 1000).endpoint, EndpointId(expected)) << weight;
  }
  EXPECT_THAT(error_of("dynamo-cost-scorer", parameters({{"blockSize", 0}})),
              HasSubstr("blockSize"));
  EXPECT_THAT(error_of("lmetric-scorer", parameters({{"weight", 1}})), HasSubstr("weight"));
}

// LMetric: after 1000 tokens on a and 600 on b, a's first token leaves its request alone: 100 x 2 <
// 700 x 2.
TEST_F(ComparisonScorers, LMetricForgetsTokensAtTheFirstAnswerByteAndTheRequestAtItsEnd) {
  candidates_ = {EndpointId(0), EndpointId(1)};
  const auto policy = ruled_by("lmetric-scorer", false);
  EXPECT_EQ(decide(*policy, 1000).endpoint, EndpointId(0));
  policy->first_token(last_id_, now_);
  const RequestId on_a = last_id_;
  EXPECT_EQ(decide(*policy, 600).endpoint, EndpointId(1));  // 600 x 1 < 600 x 2
  EXPECT_EQ(decide(*policy, 100).endpoint, EndpointId(0));  // 100 x 2 < 700 x 2
  policy->first_token(last_id_, now_);
  policy->ended(last_id_, now_);
  policy->ended(on_a, now_);
  EXPECT_EQ(decide(*policy, 600).endpoint, EndpointId(0));  // idle again
}

}  // namespace
}  // namespace kvasir
