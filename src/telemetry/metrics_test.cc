#include "telemetry/metrics.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(Registry, ExposesFamiliesInOrderWithEscapedLabels) {
  Registry registry;
  registry.counter("a_total", "Counts a.", {{"code", "200"}, {"path", "\"x\"\\"}}).add(3);
  registry.gauge("b", "Measures b.").set(0.5);
  EXPECT_EQ(registry.expose(),
            "# HELP a_total Counts a.\n# TYPE a_total counter\n"
            "a_total{code=\"200\",path=\"\\\"x\\\"\\\\\"} 3\n"
            "# HELP b Measures b.\n# TYPE b gauge\nb 0.5\n");
}

TEST(Registry, SameNameAndLabelsAreOneMetric) {
  Registry registry;
  registry.counter("a_total", "", {{"x", "1"}}).add();
  registry.counter("a_total", "", {{"x", "1"}}).add();
  EXPECT_EQ(registry.counter("a_total", "", {{"x", "1"}}).value(), 2u);
}

TEST(Histogram, BucketsAreCumulativeAndBoundsInclusive) {
  Registry registry;
  Histogram& histogram = registry.histogram("h", "H.", {0.1, 1}, {{"m", "x"}});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.observe(value);
  EXPECT_EQ(registry.expose(),
            "# HELP h H.\n# TYPE h histogram\n"
            "h_bucket{m=\"x\",le=\"0.1\"} 2\nh_bucket{m=\"x\",le=\"1\"} 3\n"
            "h_bucket{m=\"x\",le=\"+Inf\"} 4\nh_sum{m=\"x\"} 7.65\nh_count{m=\"x\"} 4\n");
}

}  // namespace
}  // namespace kvasir
