#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ArmMetrics arm(const std::string& name, double ttft_ms, double hit_ratio) {
  ArmMetrics metrics;
  metrics.name = name;
  metrics.requests = 1000;
  metrics.ttft_ms =
      Distribution{ttft_ms, 1, ttft_ms / 2, ttft_ms * 2, ttft_ms * 3, ttft_ms * 4, 9e9};
  metrics.latency_ms = Distribution{ttft_ms + 1000, 1, 2, 3, 4, 5, 6};
  metrics.itl_ms = Distribution{20, 1, 19, 21, 40, 50, 60};
  metrics.itl_token_weighted_ms = 20.5;
  metrics.output_tokens_per_s = 1234.56;
  metrics.requests_per_s = 3.4567;
  metrics.hit_ratio = hit_ratio;
  metrics.requests_by_endpoint = {{"w0", 501}, {"w1", 499}};
  metrics.send_lag.p99_ms = 0.4;
  metrics.send_lag.limit_ms = 10;
  return metrics;
}

Report two_arms() {
  Report report;
  report.trace = "t.jsonl";
  report.trace_hash = hash_text("");
  report.requests = 1000;
  report.span_s = 330;
  report.bin_ms = 3000;
  report.prompt_tokens = 13732944;
  report.output_tokens = 349357;
  report.hit_ceiling = 0.2;
  report.seed = 1;
  report.time_scale = 5;
  report.model = "m";
  report.arms = {arm("round-robin", 16312.44, 0.05), arm("kv", 1957.49, 0.1)};
  report.rows_with_other_tokens = std::vector<size_t>();
  return report;
}

TEST(ReportText, ArmsStandSideBySide) {
  EXPECT_EQ("\n" + report_text(two_arms()), R"(
t.jsonl: 1000 requests from row 0, 330.0 s at speed 1, bins of 3000 ms spread evenly
13,732,944 prompt tokens, 349,357 output tokens, hit ceiling 0.2000 (one cache without limit)
model m, seed 1, time scale 5; times are unscaled and count from the intended send

                           round-robin            kv
TTFT mean, ms                 16,312.4       1,957.5   -88.0 %
TTFT p99, ms                  48,937.3       5,872.5   -88.0 %
request latency, ms           17,312.4       2,957.5   -82.9 %
output tokens/s                1,234.6       1,234.6    +0.0 %
requests/s                       3.457         3.457    +0.0 %
ITL mean, ms                     20.00         20.00    +0.0 %
ITL p99, ms                      40.00         40.00    +0.0 %
ITL by token, ms                 20.50         20.50    +0.0 %
hit ratio                       0.0500        0.1000  +100.0 %
hit ceiling                     0.2000        0.2000

round-robin                       mean           p50           p90           p99         p99.9
  TTFT, ms                   16,312.44      8,156.22     32,624.88     48,937.32     65,249.76
  request latency, ms        17,312.44          2.00          3.00          4.00          5.00
  ITL, ms                        20.00         19.00         21.00         40.00         50.00
kv                                mean           p50           p90           p99         p99.9
  TTFT, ms                    1,957.49        978.75      3,914.98      5,872.47      7,829.96
  request latency, ms         2,957.49          2.00          3.00          4.00          5.00
  ITL, ms                        20.00         19.00         21.00         40.00         50.00

round-robin: 1000 requests, 0 errors; send lag p99 0.4 ms
  requests by endpoint: 501 499 (most - least: 2)
kv: 1000 requests, 0 errors; send lag p99 0.4 ms
  requests by endpoint: 501 499 (most - least: 2)
same tokens in all arms: yes
)");
}

TEST(ReportText, ErrorsAndOtherTokensAreSaid) {
  Report report = two_arms();
  report.arms[1].errors = 3;
  report.arms[1].errors_by_reason = {{"HTTP 503", 1}, {"timeout", 2}};
  report.rows_with_other_tokens = std::vector<size_t>{17, 20};
  const std::string text = report_text(report);
  EXPECT_THAT(text, HasSubstr("kv: 1000 requests, 3 errors (1 x HTTP 503, 2 x timeout);"));
  EXPECT_THAT(text, HasSubstr("same tokens in all arms: NO, 2 rows differ, the first is row 17\n"));
}

TEST(ReportText, UnknownFiguresAreDashes) {
  Report report = two_arms();
  report.arms = {measure("x", {}, 1)};
  report.rows_with_other_tokens.reset();
  const std::string text = report_text(report);
  EXPECT_THAT(text, HasSubstr("TTFT mean, ms                        -\n"));
  EXPECT_THAT(text, Not(HasSubstr("same tokens")));
}

TEST(ReportJson, HasTheKeysThatOthersRead) {
  const auto json = nlohmann::json::parse(report_json(two_arms()));
  const auto& kv = json["arms"][1];
  EXPECT_EQ(kv["name"], "kv");
  EXPECT_EQ(kv["requests"], 1000);
  EXPECT_EQ(kv["errors"], 0);
  for (const char* metric : {"ttft_ms", "itl_ms", "latency_ms"}) {
    for (const char* key : {"mean", "p50", "p90", "p99", "p99.9"}) {
      EXPECT_TRUE(kv[metric][key].is_number()) << metric << " " << key;
    }
  }
  EXPECT_EQ(kv["ttft_ms"]["mean"], 1957.49);
  EXPECT_EQ(kv["output_tokens_per_s"], 1234.56);
  EXPECT_EQ(kv["requests_per_s"], 3.4567);
  EXPECT_EQ(kv["hit_ratio"], 0.1);
  EXPECT_EQ(kv["requests_by_endpoint"]["w0"], 501);
  EXPECT_EQ(json["ceiling"], 0.2);
  EXPECT_EQ(json["same_tokens"], true);
  EXPECT_EQ(json["trace"], "t.jsonl");
  EXPECT_EQ(json["trace_hash"], "xxh64:ef46db3751d8e999");
  EXPECT_EQ(json["seed"], 1);
  EXPECT_EQ(json["time_scale"], 5);
}

TEST(ReportJson, UnknownFiguresAreNull) {
  Report report = two_arms();
  report.arms = {measure("x", {}, 1)};
  const auto json = nlohmann::json::parse(report_json(report));
  EXPECT_TRUE(json["arms"][0]["ttft_ms"].is_null());
  EXPECT_TRUE(json["arms"][0]["hit_ratio"].is_null());
}

TEST(LagProblem, NamesTheArmAndTheLimit) {
  Report report = two_arms();
  EXPECT_EQ(lag_problem(report), "");
  report.arms[1].send_lag.p99_ms = 12.34;
  EXPECT_THAT(lag_problem(report), HasSubstr("fell behind in kv"));
  EXPECT_THAT(lag_problem(report), HasSubstr("12.3 ms"));
  EXPECT_THAT(lag_problem(report), HasSubstr("limit is 10.0 ms"));
}

TEST(Describe, SumsTheWorkload) {
  Workload workload = plan_workload({{0, 600, 5, {0, 1}}, {4000, 600, 6, {0, 2}}}, {});
  const Report report = describe(workload);
  EXPECT_EQ(report.requests, 2u);
  EXPECT_EQ(report.prompt_tokens, 1200u);
  EXPECT_EQ(report.output_tokens, 11u);
  EXPECT_DOUBLE_EQ(report.span_s, 4);
  EXPECT_DOUBLE_EQ(report.hit_ceiling, 512.0 / 1200);
}

}  // namespace
}  // namespace kvasir
