#include "apps/sidecar_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/clock.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr, ::testing::Not;

class SidecarMetricsTest : public ::testing::Test {
 protected:
  void done(int status, std::string_view path, const HandoffReport* handoff = nullptr,
            LegStage failed_at = LegStage::kNone) {
    LegsReport report;
    report.path = path;
    report.generates = path.starts_with("/v1/c");
    report.status = status;
    report.time = milliseconds(300);
    report.decode_time = milliseconds(200);
    report.handoff = handoff;
    report.failed_at = failed_at;
    metrics_.on_started();
    metrics_.on_done(report);
  }

  SteadyClock clock_;
  SidecarMetrics metrics_{clock_, "nixlv2", 1000};
};

TEST_F(SidecarMetricsTest, RequestsAreCountedUnderTheTutorialsNamesAndUpstreams) {
  HandoffReport handoff;
  handoff.path = HandoffReport::Path::kTwoLegs;
  handoff.prefill_time = milliseconds(70);
  done(200, "/v1/chat/completions", &handoff);
  done(200, "/v1/models");
  done(502, "/v1/completions", nullptr, LegStage::kDecode);
  metrics_.on_leg(LegStage::kPrefill);
  metrics_.on_leg(LegStage::kDecode);
  metrics_.on_connection_failed(LegStage::kPrefill, "10.0.0.1:8000: connection refused");
  metrics_.on_refused(403, "no");
  const std::string page = metrics_.page({"", 3});
  for (const char* line :
       {"llmd_sidecar_requests_total{status=\"success\"} 2\n",
        "llmd_sidecar_requests_total{status=\"failure\"} 2\n",
        "llmd_sidecar_request_duration_seconds{quantile=\"0.99\"} 0.3",
        "llmd_sidecar_request_duration_seconds_count 2\n",
        "llmd_sidecar_prefill_requests_total 1\n", "llmd_sidecar_decode_requests_total 1\n",
        "llmd_sidecar_active_connections 3\n",
        "llmd_sidecar_connection_errors_total{to=\"prefill\"} 1\n",
        "llm_d_disagg_sidecar_requests_total{api_type=\"chat_completions\"} 1\n",
        "llm_d_disagg_sidecar_requests_total{api_type=\"other\"} 1\n",
        "llm_d_disagg_sidecar_disagg_requests_total{connector=\"nixlv2\"} 1\n",
        "llm_d_disagg_sidecar_prefill_duration_seconds_bucket{connector=\"nixlv2\",le=\"0.1\"} 1\n",
        "llm_d_disagg_sidecar_decode_duration_seconds_count{connector=\"nixlv2\"} 2\n",
        "llm_d_disagg_sidecar_request_errors_total{connector=\"nixlv2\",stage=\"decode\"} 1\n",
        "kvasir_sidecar_decisions_total{path=\"two-legs\"} 1\n",
        "kvasir_sidecar_requests_in_flight 0\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(SidecarMetricsTest, ARefusalIsLoggedOnce) {
  const auto lines = [](const std::string& log) {
    return std::count(log.begin(), log.end(), '\n');
  };
  ::testing::internal::CaptureStderr();
  metrics_.on_blocked("10.0.0.1:8000");
  metrics_.on_refused(403, "Forbidden");
  const std::string forbidden = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(forbidden, HasSubstr("not in the allowlist: 10.0.0.1:8000"));
  EXPECT_EQ(lines(forbidden), 1);
  ::testing::internal::CaptureStderr();
  metrics_.on_refused(400, "no JSON");
  EXPECT_EQ(lines(::testing::internal::GetCapturedStderr()), 1);
  EXPECT_THAT(metrics_.page({}), HasSubstr("llmd_sidecar_requests_total{status=\"failure\"} 2\n"));
}

// What nobody measured is absent, and never 0.
TEST_F(SidecarMetricsTest, AMovedByteHasASourceOrNoLine) {
  EXPECT_THAT(metrics_.page({}), Not(HasSubstr("kv_cache_transfer")));
  HandoffReport handoff;
  handoff.path = HandoffReport::Path::kTwoLegs;
  done(200, "/v1/completions", &handoff);
  EXPECT_THAT(metrics_.page({}), Not(HasSubstr("kv_cache_transfer"))) << "an older prefiller";
  handoff.tokens = 318;
  done(200, "/v1/completions", &handoff);
  EXPECT_THAT(metrics_.page({}),
              HasSubstr("llmd_sidecar_kv_cache_transfer_bytes{source=\"handoff\"} 318000\n"));
  EXPECT_THAT(metrics_.page({}), Not(HasSubstr("transfer_duration")));
  const std::string engine =
      "vllm:nixl_bytes_transferred_sum{engine=\"0\"} 1e3\n"
      "vllm:nixl_bytes_transferred_sum{engine=\"1\"} 500\n"
      "vllm:nixl_xfer_time_seconds_sum{engine=\"0\"} 0.25\n";
  const std::string page = metrics_.page({engine, 0});
  EXPECT_THAT(page, HasSubstr("llmd_sidecar_kv_cache_transfer_bytes{source=\"engine\"} 1500\n"));
  EXPECT_THAT(
      page, HasSubstr("llmd_sidecar_kv_cache_transfer_duration_seconds{source=\"engine\"} 0.25\n"));
  SidecarMetrics unknown(clock_, "nixlv2", 0);
  EXPECT_THAT(unknown.page({engine, 0}), HasSubstr("{source=\"engine\"} 1500\n"));
  EXPECT_THAT(unknown.page({engine, 0}), Not(HasSubstr("source=\"handoff\"")));
}

// A family that stands on a page twice makes Prometheus drop the page.
TEST_F(SidecarMetricsTest, WhatTheEnginesPageHasIsNotSaidAgain) {
  EXPECT_THAT(metrics_.page({}), HasSubstr("kvasir_log_lines_dropped_total"));
  EXPECT_THAT(metrics_.page({"kvasir_log_lines_dropped_total 0\n", 0}),
              Not(HasSubstr("kvasir_log_lines")));
}

}  // namespace
}  // namespace kvasir
