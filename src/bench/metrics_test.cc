#include "bench/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// numpy.percentile([...], q), numpy 1.26: linear interpolation.
TEST(Percentile, EqualsNumpy) {
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const struct {
    double percent;
    double value;
  } cases[] = {{0, 1}, {50, 5.5}, {90, 9.1}, {99, 9.91}, {99.9, 9.991}, {100, 10}};
  for (const auto& one : cases) EXPECT_NEAR(percentile(ten, one.percent), one.value, 1e-12);
  EXPECT_EQ(percentile({7}, 99), 7);
  EXPECT_DOUBLE_EQ(percentile({1, 4}, 25), 1.75);
  EXPECT_DOUBLE_EQ(percentile({15, 20, 35, 40, 50}, 40), 29);
}

TEST(DistributionOf, SortsAndAverages) {
  const auto values = distribution_of({4, 1, 3, 2});
  ASSERT_TRUE(values);
  EXPECT_EQ(values->mean, 2.5);
  EXPECT_EQ(values->min, 1);
  EXPECT_EQ(values->p50, 2.5);
  EXPECT_DOUBLE_EQ(values->p90, 3.7);
  EXPECT_EQ(values->max, 4);
  EXPECT_FALSE(distribution_of({}));
}

Outcome answered(double intended_ms, double ttft_ms, double latency_ms, uint64_t output_tokens) {
  Outcome outcome;
  outcome.intended_ms = outcome.sent_ms = intended_ms;
  outcome.ttft_ms = ttft_ms;
  outcome.latency_ms = latency_ms;
  outcome.end_ms = intended_ms + latency_ms;
  outcome.prompt_tokens = 100;
  outcome.cached_tokens = 25;
  outcome.output_tokens = output_tokens;
  outcome.endpoint = "a";
  return outcome;
}

Outcome failed(double intended_ms, const std::string& error) {
  Outcome outcome = answered(intended_ms, 0, 99'999, 0);
  outcome.error = error;
  return outcome;
}

TEST(Measure, FollowsTheFormulas) {
  const ArmMetrics metrics = measure(
      "arm", {answered(0, 100, 300, 11), answered(1000, 200, 1200, 3), answered(2000, 300, 300, 1)},
      1);
  EXPECT_EQ(metrics.name, "arm");
  EXPECT_EQ(metrics.requests, 3u);
  EXPECT_EQ(metrics.errors, 0u);
  EXPECT_DOUBLE_EQ(metrics.ttft_ms->mean, 200);
  EXPECT_DOUBLE_EQ(metrics.ttft_ms->p99, 298);
  EXPECT_DOUBLE_EQ(metrics.latency_ms->mean, 600);
  // 200 / 10 and 1000 / 2; an answer of one token has none.
  EXPECT_DOUBLE_EQ(metrics.itl_ms->mean, 260);
  EXPECT_DOUBLE_EQ(*metrics.itl_token_weighted_ms, 100);
  // From 0 to max(300, 2200, 2300) ms.
  EXPECT_DOUBLE_EQ(metrics.duration_s, 2.3);
  EXPECT_DOUBLE_EQ(metrics.requests_per_s, 3 / 2.3);
  EXPECT_DOUBLE_EQ(metrics.output_tokens_per_s, 15 / 2.3);
  EXPECT_DOUBLE_EQ(*metrics.hit_ratio, 0.25);
  EXPECT_THAT(metrics.requests_by_endpoint, ElementsAre(Pair("a", 3)));
}

TEST(Measure, FailuresAreCountedAndInNoLatency) {
  const ArmMetrics metrics = measure("arm",
                                     {answered(0, 100, 300, 11), failed(1, "timeout"),
                                      failed(2, "HTTP 503"), failed(3, "timeout")},
                                     1);
  EXPECT_EQ(metrics.requests, 4u);
  EXPECT_EQ(metrics.errors, 3u);
  EXPECT_THAT(metrics.errors_by_reason, ElementsAre(Pair("HTTP 503", 1), Pair("timeout", 2)));
  EXPECT_DOUBLE_EQ(metrics.latency_ms->max, 300);
  EXPECT_DOUBLE_EQ(metrics.duration_s, 0.3);
  EXPECT_EQ(metrics.prompt_tokens, 100u);
}

TEST(Measure, NothingIsMadeUpWhenNothingIsKnown) {
  const ArmMetrics none = measure("arm", {failed(0, "timeout")}, 1);
  EXPECT_FALSE(none.ttft_ms);
  EXPECT_FALSE(none.itl_token_weighted_ms);
  EXPECT_FALSE(none.hit_ratio);
  EXPECT_EQ(none.requests_per_s, 0);
  Outcome silent = answered(0, 1, 2, 3);
  silent.cached_tokens.reset();
  EXPECT_FALSE(measure("arm", {silent}, 1).hit_ratio);
  EXPECT_EQ(measure("arm", {}, 1).requests, 0u);
}

std::vector<Outcome> sent_late(double lag_ms, double ttft_ms) {
  std::vector<Outcome> outcomes(100, answered(0, ttft_ms, ttft_ms + 1, 2));
  for (Outcome& outcome : outcomes) outcome.sent_ms = lag_ms;
  return outcomes;
}

TEST(SendLag, LimitIsTenMillisecondsOrOnePercentOfTheMedianTtft) {
  EXPECT_FALSE(measure("", sent_late(9, 100), 1).send_lag.fell_behind());
  EXPECT_TRUE(measure("", sent_late(11, 100), 1).send_lag.fell_behind());
  EXPECT_FALSE(measure("", sent_late(11, 1200), 1).send_lag.fell_behind());
  EXPECT_DOUBLE_EQ(measure("", sent_late(11, 1200), 1).send_lag.limit_ms, 12);
}

TEST(SendLag, IsJudgedInWallClockTime) {
  const SendLag lag = measure("", sent_late(55, 10'000), 5).send_lag;
  EXPECT_DOUBLE_EQ(lag.p99_ms, 11);
  EXPECT_DOUBLE_EQ(lag.limit_ms, 20);
}

}  // namespace
}  // namespace kvasir
