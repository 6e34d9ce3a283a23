#include "wire/prometheus_text.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

constexpr std::string_view kPage =
    "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig\n"
    "# TYPE vllm:cache_config_info gauge\n"
    "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"23125\",x=\"a\\\"b,}\"} 1.0\n"
    "vllm:num_requests_running{engine=\"0\"} 2.0\n"
    "vllm:num_requests_running{engine=\"1\"} 3\n"
    "vllm:num_requests_running_other 100\n";

TEST(PrometheusText, FindsASampleAndItsLabels) {
  const auto sample = find_metric(kPage, "vllm:cache_config_info");
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->label("num_gpu_blocks"), "23125");
  EXPECT_EQ(sample->label("x"), "a\"b,}");
  EXPECT_FALSE(sample->label("y"));
  EXPECT_EQ(sample->value, 1.0);
}

TEST(PrometheusText, AddsUpSeriesOfOneName) {
  EXPECT_EQ(sum_metric(kPage, "vllm:num_requests_running"), 5.0);
  EXPECT_FALSE(sum_metric(kPage, "vllm:absent"));
}

TEST(PrometheusText, MalformedLinesHoldNothing) {
  for (const char* line : {"", "# x", "name", "name{", "name{a=\"b\"", "name{a=b} 1", "name{a=\"b} 1",
                           "name{a=\"b\\", "name x", "name{=\"x\"} 1", "{a=\"b\"} 1"}) {
    EXPECT_FALSE(parse_metric_line(line)) << line;
  }
}

TEST(PrometheusText, TimestampsAndSpacesAreAllowed) {
  const auto sample = parse_metric_line("a { b = \"c\" , } 1e3 1700000000000");
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->value, 1000.0);
}

}  // namespace
}  // namespace kvasir
