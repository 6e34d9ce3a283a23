#include "apps/flow_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using testing::HasSubstr;
using testing::Not;

class FlowMetricsTest : public testing::Test {
 protected:
  MetricRegistry registry_;
  RequestSeriesTable requests_{registry_};
  FlowMetrics metrics_{registry_, requests_, "pool-a"};
};

TEST_F(FlowMetricsTest, CountsOutcomesAndMeasuresWaits) {
  Request request;
  request.model = "m";
  request.fairness_id = "tenant-a";
  request.priority = 7;
  for (int i = 0; i < 2; ++i) {
    metrics_.on_outcome(request, 5, FlowOutcome::kDispatched, std::chrono::milliseconds(250));
  }
  metrics_.on_outcome(request, 5, FlowOutcome::kRejectedCapacity, Duration::zero());
  metrics_.on_cycle(std::chrono::microseconds(150));
  metrics_.on_revoked(std::chrono::milliseconds(20));
  const std::string page = registry_.expose();
  for (const char* line :
       {"llm_d_epp_flow_control_requests_total{outcome=\"Dispatched\",priority=\"5\","
        "inference_pool=\"pool-a\"} 2\n",
        "llm_d_epp_flow_control_requests_total{outcome=\"RejectedCapacity\",priority=\"5\","
        "inference_pool=\"pool-a\"} 1\n",
        "llm_d_epp_flow_control_request_queue_duration_seconds_sum{fairness_id=\"tenant-a\","
        "priority=\"5\",outcome=\"Dispatched\",inference_pool=\"pool-a\",model_name=\"m\","
        "target_model_name=\"m\"} 0.5\n",
        "inference_extension_flow_control_request_queue_duration_seconds_sum{"
        "fairness_id=\"tenant-a\",priority=\"5\",outcome=\"Dispatched\",inference_pool=\"pool-a\","
        "model_name=\"m\",target_model_name=\"m\"} 0.5\n",
        "llm_d_epp_flow_control_dispatch_cycle_duration_seconds_bucket{le=\"0.0001\"} 0\n",
        "inference_extension_flow_control_dispatch_cycle_duration_seconds_count 1\n",
        "llm_d_epp_flow_control_revocation_confirmation_seconds_sum{inference_pool=\"pool-a\"} "
        "0.02\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(FlowMetricsTest, RendersGaugesFromTheStatsOfTheMoment) {
  FlowStats stats;
  stats.requests = 3;
  stats.requests_most = 12;
  stats.saturation = {0.25, 0.5, 4};
  stats.bands.push_back({5, 3, 300, 10, 1000, {{"tenant-a", 2, 200}, {"tenant-b", 1, 100}}});
  stats.revocations.confirmed = 6;
  const std::string page = metrics_.page(stats);
  for (const char* line :
       {"llm_d_epp_flow_control_pool_saturation{inference_pool=\"pool-a\",stage=\"decode\"} 0.5\n",
        "llm_d_epp_flow_control_pool_saturation{inference_pool=\"pool-a\",stage=\"effective\"} "
        "0.5\n",
        "inference_extension_flow_control_pool_saturation{inference_pool=\"pool-a\"} 0.5\n",
        "llm_d_epp_flow_control_capacity_utilization_requests{priority=\"5\","
        "inference_pool=\"pool-a\"} 0.3\n",
        "llm_d_epp_flow_control_capacity_utilization_bytes{priority=\"5\","
        "inference_pool=\"pool-a\"} 0.3\n",
        "llm_d_epp_flow_control_global_capacity_utilization_requests{inference_pool=\"pool-a\"} "
        "0.25\n",
        "llm_d_epp_flow_control_queue_size{fairness_id=\"tenant-a\",priority=\"5\","
        "inference_pool=\"pool-a\"} 2\n",
        "inference_extension_flow_control_queue_bytes{fairness_id=\"tenant-b\",priority=\"5\","
        "inference_pool=\"pool-a\"} 100\n",
        "llm_d_epp_flow_control_revocations_total{outcome=\"confirmed\","
        "inference_pool=\"pool-a\"} 6\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  EXPECT_THAT(page, Not(HasSubstr("global_capacity_utilization_bytes")));
}

TEST_F(FlowMetricsTest, AddsUpTheTenantsThatShareALabel) {
  for (size_t i = 0; i < kFairnessLabelsMax; ++i) requests_.fairness_id(std::to_string(i));
  FlowStats stats;
  stats.bands.push_back({0, 3, 0, 10, 0, {{"new-a", 2, 0}, {"new-b", 1, 0}}});
  EXPECT_THAT(metrics_.page(stats),
              HasSubstr("llm_d_epp_flow_control_queue_size{fairness_id=\"other\",priority=\"0\","
                        "inference_pool=\"pool-a\"} 3\n"));
}

}  // namespace
}  // namespace kvasir
