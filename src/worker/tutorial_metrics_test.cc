// What depends on when one looks, on a clock of the test's own.
#include "worker/tutorial_metrics.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::seconds;

class TutorialMetricsTest : public ::testing::Test {
 protected:
  // What the page says at `at`, when so many tokens were made by then.
  double tokens_per_second(uint64_t generation_tokens, TimePoint at) {
    EngineStats stats;
    stats.generation_tokens = generation_tokens;
    metrics_.update(stats, at);
    return registry_.gauge("vllm_tokens_per_second", "").value();
  }

  MetricRegistry registry_;
  TutorialMetrics metrics_{registry_, {}, EngineProfile{}};
  const TimePoint begin_ = TimePoint() + seconds(100);
};

TEST_F(TutorialMetricsTest, TokensASecondAreThoseOfTheLastTenSeconds) {
  EXPECT_EQ(tokens_per_second(0, begin_), 0);
  metrics_.on_step(0, begin_);
  for (int i = 1; i <= 30; ++i)
    metrics_.on_step(static_cast<uint64_t>(50 * i), begin_ + seconds(i));
  EXPECT_EQ(tokens_per_second(1500, begin_ + seconds(30)), 50);
  // Half as fast from now on: after five seconds half of the window is.
  for (int i = 1; i <= 5; ++i) {
    metrics_.on_step(static_cast<uint64_t>(1500 + 25 * i), begin_ + seconds(30 + i));
  }
  EXPECT_EQ(tokens_per_second(1625, begin_ + seconds(35)), 37.5);
}

TEST_F(TutorialMetricsTest, TenSecondsWithoutAStepAreNoTokensASecond) {
  metrics_.on_step(0, begin_);
  metrics_.on_step(40, begin_ + seconds(2));
  EXPECT_EQ(tokens_per_second(40, begin_ + seconds(4)), 10);
  EXPECT_EQ(tokens_per_second(40, begin_ + seconds(12)), 0);
}

}  // namespace
}  // namespace kvasir
