#include "telemetry/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "telemetry/metrics.h"

namespace kvasir {
namespace {

double quantile(const Summary& summary, double wanted) {
  return summary.quantiles(std::array<double, 1>{wanted})[0];
}

TEST(Summary, IsOffByAThirtySecondAtMost) {
  ManualClock clock;
  std::mt19937 random(1);
  std::lognormal_distribution<double> distribution(-9, 2);
  Summary summary(clock);
  std::vector<double> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(distribution(random));
  for (const double value : values) summary.observe(value);
  std::sort(values.begin(), values.end());
  for (const double wanted : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const double exact =
        values[static_cast<size_t>(std::ceil(wanted * static_cast<double>(values.size()))) - 1];
    EXPECT_NEAR(quantile(summary, wanted), exact, exact / 32) << wanted;
  }
}

TEST(Summary, ForgetsWhatIsOlderThanItsWindowButNotItsSum) {
  ManualClock clock;
  Summary summary(clock);
  for (int i = 0; i < 1000; ++i) summary.observe(1);
  clock.advance(std::chrono::minutes(5));
  for (int i = 0; i < 10; ++i) summary.observe(0.001);
  EXPECT_NEAR(quantile(summary, 0.5), 1, 1.0 / 32);
  clock.advance(std::chrono::minutes(5));
  EXPECT_NEAR(quantile(summary, 0.5), 0.001, 0.001 / 32);
  clock.advance(std::chrono::minutes(10));
  EXPECT_TRUE(std::isnan(quantile(summary, 0.5)));
  EXPECT_EQ(summary.count(), 1010u);
  EXPECT_NEAR(summary.sum(), 1000.01, 1e-9);
}

TEST(Summary, CountsTheOutlandishAsTheNearest) {
  ManualClock clock;
  for (const auto& [value, nearest] :
       std::vector<std::pair<double, double>>{{0, 0x1p-30},
                                              {-1, 0x1p-30},
                                              {1e-300, 0x1p-30},
                                              {1e300, 1024},
                                              {INFINITY, 1024},
                                              {std::nan(""), 0x1p-30}}) {
    Summary summary(clock);
    summary.observe(value);
    EXPECT_NEAR(quantile(summary, 0.5), nearest, nearest / 16) << value;
  }
}

TEST(Summary, IsExposedWithItsQuantiles) {
  ManualClock clock;
  MetricRegistry registry;
  Summary& summary = registry.summary("s_seconds", "S.", clock, {{"x", "1"}});
  EXPECT_NE(registry.expose().find("s_seconds{x=\"1\",quantile=\"0.5\"} NaN\n"), std::string::npos);
  summary.observe(1.03125);  // the middle of a bucket
  EXPECT_EQ(registry.expose(),
            "# HELP s_seconds S.\n# TYPE s_seconds summary\n"
            "s_seconds{x=\"1\",quantile=\"0.5\"} 1.03125\n"
            "s_seconds{x=\"1\",quantile=\"0.9\"} 1.03125\n"
            "s_seconds{x=\"1\",quantile=\"0.99\"} 1.03125\n"
            "s_seconds_sum{x=\"1\"} 1.03125\ns_seconds_count{x=\"1\"} 1\n");
}

}  // namespace
}  // namespace kvasir
