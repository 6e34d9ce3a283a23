#include "telemetry/metrics.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(MetricRegistry, ExposesFamiliesInOrderWithEscapedLabels) {
  MetricRegistry registry;
  registry.counter("a_total", "Counts a.", {{"code", "200"}, {"path", "\"x\"\\"}}).add(3);
  registry.gauge("b", "Measures b.").set(0.5);
  EXPECT_EQ(registry.expose(),
            "# HELP a_total Counts a.\n# TYPE a_total counter\n"
            "a_total{code=\"200\",path=\"\\\"x\\\"\\\\\"} 3\n"
            "# HELP b Measures b.\n# TYPE b gauge\nb 0.5\n");
}

TEST(MetricRegistry, SameNameAndLabelsAreOneMetric) {
  MetricRegistry registry;
  registry.counter("a_total", "", {{"x", "1"}}).add();
  registry.counter("a_total", "", {{"x", "1"}}).add();
  EXPECT_EQ(registry.counter("a_total", "", {{"x", "1"}}).value(), 2u);
}

TEST(Histogram, BucketsAreCumulativeAndBoundsInclusive) {
  MetricRegistry registry;
  Histogram& histogram = registry.histogram("h", "H.", {0.1, 1}, {{"m", "x"}});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.observe(value);
  EXPECT_EQ(registry.expose(),
            "# HELP h H.\n# TYPE h histogram\n"
            "h_bucket{m=\"x\",le=\"0.1\"} 2\nh_bucket{m=\"x\",le=\"1\"} 3\n"
            "h_bucket{m=\"x\",le=\"+Inf\"} 4\nh_sum{m=\"x\"} 7.65\nh_count{m=\"x\"} 4\n");
}

TEST(MetricRegistry, WritesNumbersAsPrometheusDoes) {
  MetricRegistry registry;
  registry.histogram("h", "H.", {1e-6, 0.0001, 0.025, 32778, 131072, 1048576});
  const std::string page = registry.expose();
  for (const char* bound :
       {"1e-06", "0.0001", "0.025", "32778", "131072", "1.048576e+06", "+Inf"}) {
    EXPECT_NE(page.find("h_bucket{le=\"" + std::string(bound) + "\"} 0\n"), std::string::npos)
        << bound;
  }
}

TEST(MetricRegistry, ReplacesLabelBytesThatAreNotUtf8) {
  MetricRegistry registry;
  registry.counter("a_total", "Line\nend \\.", {{"x", "\xff\xc3\xa9\n\xed\xa0\x80"}});
  EXPECT_EQ(registry.expose(),
            "# HELP a_total Line\\nend \\\\.\n# TYPE a_total counter\n"
            "a_total{x=\"\xef\xbf\xbd\xc3\xa9\\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"} 0\n");
}

TEST(MetricRegistry, AMirrorAddsUpWhatItsLabelsDoNotTellApart) {
  MetricRegistry registry;
  registry.mirror("old_total", "Old.", {"new_total", {}, {{"model", "model_name"}}});
  registry.counter("new_total", "New.", {{"model", "m"}, {"tenant", "a"}}).add(2);
  registry.counter("new_total", "New.", {{"model", "m"}, {"tenant", "b"}}).add(3);
  registry.counter("new_total", "New.", {{"model", "n"}, {"tenant", "a"}}).add(4);
  const std::string page = registry.expose();
  EXPECT_EQ(page.substr(0, page.find("# HELP new_total")),
            "# HELP old_total Old.\n# TYPE old_total counter\n"
            "old_total{model_name=\"m\"} 5\nold_total{model_name=\"n\"} 4\n");
}

TEST(MetricRegistry, AMirrorOfAHistogramCanSelectChildrenAndBounds) {
  MetricRegistry registry;
  Histogram& wanted = registry.histogram("fine", "F.", {1, 2, 3, 4}, {{"step", "a"}});
  registry.histogram("fine", "F.", {1, 2, 3, 4}, {{"step", "b"}}).observe(1);
  for (const double value : {0.5, 1.5, 2.5, 9.0}) wanted.observe(value);
  registry.mirror("coarse", "C.", {"fine", {{"step", "a"}}, {}, false, {2, 4}});
  registry.mirror("nothing", "N.", {"fine", {{"step", "c"}}});
  const std::string page = registry.expose();
  EXPECT_EQ(page.substr(page.find("# HELP coarse")),
            "# HELP coarse C.\n# TYPE coarse histogram\n"
            "coarse_bucket{le=\"2\"} 2\ncoarse_bucket{le=\"4\"} 3\ncoarse_bucket{le=\"+Inf\"} 4\n"
            "coarse_sum 13.5\ncoarse_count 4\n");
}

TEST(MetricRegistry, AViewAddsItsLabelsToTheSeriesOfAnother) {
  MetricRegistry all;
  MetricRegistry view(&all, {{"pool", "ns/p"}});
  all.counter("c_total", "C.", {{"code", "200"}}).add(1);
  view.counter("c_total", "C.", {{"code", "200"}}).add(2);
  view.gauge("g", "G.").set(3);
  EXPECT_EQ(all.expose(),
            "# HELP c_total C.\n# TYPE c_total counter\n"
            "c_total{code=\"200\"} 1\nc_total{code=\"200\",pool=\"ns/p\"} 2\n"
            "# HELP g G.\n# TYPE g gauge\ng{pool=\"ns/p\"} 3\n");
  EXPECT_EQ(&view.gauge("g", "G."), &all.gauge("g", "G.", {{"pool", "ns/p"}}));
  EXPECT_EQ(view.expose(), "");
}

}  // namespace
}  // namespace kvasir
