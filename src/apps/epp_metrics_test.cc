#include "apps/epp_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <thread>

#include "apps/epp_fixture.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kRequest =
    "{model_name=\"m\",target_model_name=\"m\",fairness_id=\"tenant-a\",priority=\"0\"}";

class EppMetricsTest : public testing::Test {
 protected:
  // The value of the line that begins with `series`; nullopt: there is none.
  std::optional<double> value(const std::string& series) {
    std::istringstream page(metrics_.page(fixture_.fleet));
    for (std::string line; std::getline(page, line);) {
      if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
    }
    return std::nullopt;
  }
  std::vector<std::string> bounds(const std::string& name) {
    std::vector<std::string> found;
    std::istringstream page(metrics_.page(fixture_.fleet));
    for (std::string line; std::getline(page, line);) {
      if (!line.starts_with(name + "_bucket")) continue;
      found.emplace_back(*parse_metric_line(line)->label("le"));
      if (found.back() == "+Inf") break;
    }
    return found;
  }

  ManualClock clock_;
  EppFixture fixture_;
  EppMetrics metrics_{EppMetricsOptions{"pool-a", std::chrono::seconds(2), true, "1.2.3"}, clock_};
};

TEST_F(EppMetricsTest, CountsAPickUnderUpstreamsNamesAndTheirTwins) {
  metrics_.on_picked(fixture_.pick());
  const std::string request = kRequest;
  for (const auto& [series, expected] : std::map<std::string, double>{
           {"llm_d_epp_request_total" + request, 1},
           {"llm_d_epp_request_size_bytes_sum" + request, 2000},
           {"llm_d_epp_request_running" + request, 1},
           {"inference_objective_request_total"
            "{model_name=\"m\",target_model_name=\"m\",priority=\"0\"}",
            1},
           {"inference_objective_request_sizes_sum{model_name=\"m\",target_model_name=\"m\"}",
            2000},
           {"inference_objective_running_requests{model_name=\"m\"}", 1},
           {"llm_d_epp_scheduler_e2e_duration_seconds_sum", 42e-6},
           {"inference_extension_scheduler_e2e_duration_seconds_count", 1},
           {"llm_d_epp_scheduler_attempts_total{status=\"success\",target_model_name=\"m\","
            "endpoint_name=\"pod-1\",namespace=\"\",port=\"8000\"}",
            1},
           {"inference_extension_scheduler_attempts_total{status=\"success\","
            "target_model_name=\"m\",pod_name=\"pod-1\",namespace=\"\",port=\"8000\"}",
            1},
           {"llm_d_epp_plugin_duration_seconds_sum{extension_point=\"Filter\","
            "plugin_type=\"label-selector-filter\",plugin_name=\"decode-filter\"}",
            3e-6},
           {"inference_extension_plugin_duration_seconds_count{extension_point=\"Scorer\","
            "plugin_type=\"queue-scorer\",plugin_name=\"queue-scorer\"}",
            1},
           {"llm_d_epp_plugin_duration_seconds_count{extension_point=\"Picker\","
            "plugin_type=\"max-score-picker\",plugin_name=\"max-score-picker\"}",
            1},
           {"llm_d_epp_request_processing_duration_seconds_sum", 150e-6},
           {"llm_d_epp_prefix_indexer_hit_ratio_sum{plugin_name=\"prefix\","
            "plugin_type=\"approx-prefix-cache-producer\"}",
            0.25},
           {"llm_d_epp_prefix_indexer_hit_bytes_sum{plugin_name=\"prefix\","
            "plugin_type=\"approx-prefix-cache-producer\"}",
            400},
           {"inference_extension_prefix_indexer_hit_ratio_sum", 0.25},
           {"llm_d_epp_inflight_requests{endpoint_name=\"pod-1\",namespace=\"\","
            "producer_name=\"epp\",fairness_id=\"tenant-a\",priority=\"0\"}",
            1},
           {"llm_d_epp_info{commit=\"\",build_ref=\"1.2.3\"}", 1},
           {"inference_extension_info{commit=\"\",build_ref=\"1.2.3\"}", 1}}) {
    ASSERT_TRUE(value(series)) << series;
    EXPECT_DOUBLE_EQ(*value(series), expected) << series;
  }
}

TEST_F(EppMetricsTest, CountsAPickUnderTheTutorialsNames) {
  metrics_.on_picked(fixture_.pick());
  metrics_.on_refused(fixture_.refusal());
  for (const auto& [series, expected] : std::map<std::string, double>{
           {"llmd_epp_scheduling_decisions_total{result=\"success\"}", 1},
           {"llmd_epp_scheduling_decisions_total{result=\"filtered_out\"}", 1},
           {"llmd_epp_scheduling_decisions_total{result=\"no_pods\"}", 0},
           {"llmd_epp_scheduling_duration_seconds_count", 2},
           {"llmd_epp_filter_duration_seconds_count{filter=\"decode-filter\"}", 2},
           {"llmd_epp_scorer_duration_seconds_count{scorer=\"active-request-scorer\"}", 2},
           {"llmd_epp_candidate_pods_total", 8},
           {"llmd_epp_filtered_pods_total", 4},
           {"llmd_epp_scored_pods_total", 4},
           {"llmd_epp_cache_hit_rate{pod=\"pod-1\"}", 0.25},
           {"llmd_epp_cache_prefix_length_bytes{pod=\"pod-1\"}", 400}}) {
    ASSERT_TRUE(value(series)) << series;
    EXPECT_DOUBLE_EQ(*value(series), expected) << series;
  }
  EXPECT_NEAR(*value("llmd_epp_scheduling_duration_seconds{quantile=\"0.99\"}"), 42e-6, 42e-6 / 32);
  EXPECT_NEAR(*value("llmd_epp_scheduling_duration_seconds{quantile=\"0.5\"}"), 7e-6, 7e-6 / 32);
}

TEST_F(EppMetricsTest, WhatWasKnownOfACacheIsComparedWithWhatItsEngineFound) {
  EndReport report = fixture_.end();
  metrics_.on_ended(report);
  EXPECT_FALSE(value("kvasir_kv_predicted_cached_tokens_total{pod=\"pod-1\"}")) << "guessed";
  report.predicted_cached_tokens = *report.cached_tokens + 16;
  metrics_.on_ended(report);
  for (const auto& [series, expected] : std::map<std::string, double>{
           {"kvasir_kv_predicted_cached_tokens_total{pod=\"pod-1\"}", 272},
           {"kvasir_kv_actual_cached_tokens_total{pod=\"pod-1\"}", 256},
           {"kvasir_kv_predictions_total{pod=\"pod-1\",found=\"equal\"}", 0},
           {"kvasir_kv_predictions_total{pod=\"pod-1\",found=\"less\"}", 1}}) {
    ASSERT_TRUE(value(series)) << series;
    EXPECT_DOUBLE_EQ(*value(series), expected) << series;
  }
}

TEST_F(EppMetricsTest, MeasuresACompleteAnswer) {
  metrics_.on_picked(fixture_.pick());
  metrics_.on_ended(fixture_.end());
  const std::string request = kRequest;
  const std::string streaming = request.substr(0, request.size() - 1) + ",streaming=\"true\"}";
  const std::string model = "{model_name=\"m\",target_model_name=\"m\"}";
  for (const auto& [series, expected] : std::map<std::string, double>{
           {"llm_d_epp_request_running" + request, 0},
           {"llm_d_epp_inflight_requests{endpoint_name=\"pod-1\",namespace=\"\","
            "producer_name=\"epp\",fairness_id=\"tenant-a\",priority=\"0\"}",
            0},
           {"llm_d_epp_request_duration_seconds_sum" + request, 1.1},
           {"llm_d_epp_response_size_bytes_sum" + request, 5000},
           {"llm_d_epp_request_input_tokens_sum" + request, 1000},
           {"llm_d_epp_request_output_tokens_sum" + request, 101},
           {"llm_d_epp_request_cached_tokens_sum" + request, 256},
           {"llm_d_epp_request_ntpot_seconds_sum" + request, 1.1 / 101},
           {"llm_d_epp_request_streaming_tpot_seconds_sum" + request, 0.01},
           {"llm_d_epp_request_ttft_seconds_sum" + streaming, 0.1},
           {"llm_d_epp_response_processing_duration_seconds_sum", 300e-6},
           {"inference_objective_request_duration_seconds_sum" + model, 1.1},
           {"inference_objective_response_sizes_sum" + model, 5000},
           {"inference_objective_input_tokens_sum" + model, 1000},
           {"inference_objective_output_tokens_sum" + model, 101},
           {"inference_objective_prompt_cached_tokens_sum" + model, 256},
           {"inference_objective_normalized_time_per_output_token_seconds_count" + model, 1}}) {
    ASSERT_TRUE(value(series)) << series;
    EXPECT_NEAR(*value(series), expected, 1e-12) << series;
  }
}

TEST_F(EppMetricsTest, AnAnswerThatWasCutOffOrNotWatchedSaysNothingOfItself) {
  for (const Ending ending : {Ending::kClientGone, Ending::kError, Ending::kNotWatched}) {
    metrics_.on_picked(fixture_.pick());
    EndReport report = fixture_.end();
    report.ending = ending;
    metrics_.on_ended(report);
  }
  EXPECT_EQ(value("llm_d_epp_request_duration_seconds_count" + std::string(kRequest)),
            std::nullopt);
  EXPECT_EQ(value("llm_d_epp_request_running" + std::string(kRequest)), 0);
}

TEST_F(EppMetricsTest, CountsErrorsByUpstreamsCodes) {
  const auto errors = [&](const char* code) {
    std::string labels = kRequest;
    labels.insert(labels.size() - 1, ",error_code=\"" + std::string(code) + "\"");
    return value("llm_d_epp_request_error_total" + labels).value_or(0);
  };
  metrics_.on_refused(fixture_.refusal());
  RefusalReport invented = fixture_.refusal();
  invented.refusal.code = "Invented";
  metrics_.on_refused(invented);
  metrics_.on_picked(fixture_.pick());
  EndReport report = fixture_.end();
  report.status = 500;
  metrics_.on_ended(report);
  EXPECT_EQ(errors("ResourceExhausted"), 1);
  EXPECT_EQ(errors("Unknown"), 1);
  EXPECT_EQ(errors("ModelServerError"), 1);
}

TEST_F(EppMetricsTest, ARefusalBeforeTheSchedulerIsNoSchedulingDecision) {
  RefusalReport unread = fixture_.refusal();
  unread.refusal.code = "BadRequest";
  unread.refusal.dropped_reason = "";
  unread.trace = nullptr;
  metrics_.on_refused(unread);
  DecisionTrace empty;
  empty.begin(0);
  RefusalReport full = fixture_.refusal();  // of a queue: the same words as for a filtered one
  full.trace = &empty;
  metrics_.on_refused(full);
  for (const char* result : {"success", "no_pods", "filtered_out"}) {
    EXPECT_EQ(value("llmd_epp_scheduling_decisions_total{result=\"" + std::string(result) + "\"}"),
              0);
  }
  RefusalReport nobody = full;
  nobody.refusal.dropped_reason = "rejected-no-endpoints";
  metrics_.on_refused(nobody);
  EXPECT_EQ(value("llmd_epp_scheduling_decisions_total{result=\"no_pods\"}"), 1);
  EXPECT_EQ(value("llm_d_epp_scheduler_attempts_total{status=\"failure\",target_model_name=\"m\","
                  "endpoint_name=\"\",namespace=\"\",port=\"\"}"),
            1);
}

TEST_F(EppMetricsTest, ARequestWithoutABodyIsNoRequestOfAModel) {
  const DecisionTrace none;
  PickReport report{
      {"req-1", "", "", "default-flow", "", 0}, fixture_.fleet, fixture_.decision, none};
  metrics_.on_picked(report);
  EXPECT_THAT(metrics_.page(fixture_.fleet), Not(HasSubstr("llm_d_epp_request_total{")));
}

TEST_F(EppMetricsTest, CapsLabelsThatClientsChoose) {
  for (size_t i = 0; i < kModelLabelsMax + 100; ++i) {
    PickReport report = fixture_.pick();
    const std::string model = "model-" + std::to_string(i);
    report.labels.model = report.labels.target_model = model;
    metrics_.on_picked(report);
  }
  PickReport report = fixture_.pick();
  const std::string huge(kLabelBytesMax + 1, 'x');
  report.labels.fairness_id = huge;
  report.labels.model = report.labels.target_model = "model-0";
  metrics_.on_picked(report);
  EXPECT_EQ(value("llm_d_epp_request_total{model_name=\"other\",target_model_name=\"other\","
                  "fairness_id=\"tenant-a\",priority=\"0\"}"),
            100);
  EXPECT_EQ(value("llm_d_epp_request_total{model_name=\"model-0\",target_model_name=\"model-0\","
                  "fairness_id=\"other\",priority=\"0\"}"),
            1);
}

TEST_F(EppMetricsTest, RewritesAreCountedByRuleModelAndTarget) {
  metrics_.on_model_rewritten("canary", "base", "base-v2");
  metrics_.on_model_rewritten("canary", "base", "base-v2");
  metrics_.on_model_rewritten("canary", "base", "base-v1");
  const std::string labels =
      R"({model_rewrite_name="canary",model_name="base",target_model="base-v2"})";
  EXPECT_EQ(value("llm_d_epp_model_rewrite_decisions_total" + labels), 2);
  EXPECT_EQ(value("inference_extension_model_rewrite_decisions_total" + labels), 2);
  for (size_t i = 0; i < kModelLabelsMax + 10; ++i) {
    metrics_.on_model_rewritten("all", "model-" + std::to_string(i), "only");
  }
  EXPECT_GE(value("llm_d_epp_model_rewrite_decisions_total"
                  R"({model_rewrite_name="all",model_name="other",target_model="only"})"),
            10);
}

TEST_F(EppMetricsTest, CapsCombinationsOfLabelsToo) {
  for (size_t i = 0; i < kRequestSeriesMax + 10; ++i) {
    PickReport report = fixture_.pick();
    report.labels.priority = static_cast<int32_t>(i);
    metrics_.on_picked(report);
    EndReport end = fixture_.end();
    end.labels = report.labels;
    end.ending = Ending::kClientGone;
    metrics_.on_ended(end);
  }
  const std::string other =
      "{model_name=\"other\",target_model_name=\"other\",fairness_id=\"other\",priority=\"other\"}";
  EXPECT_EQ(value("llm_d_epp_request_total" + other), 10);
  EXPECT_EQ(value("llm_d_epp_request_running" + other), 0);
}

TEST_F(EppMetricsTest, AveragesFreshEngineMetricsOnly) {
  clock_.advance(std::chrono::seconds(100));
  const auto read = [&](size_t i, Duration ago, double waiting, double usage) {
    EngineMetrics& metrics = fixture_.fleet.endpoints[i].metrics;
    metrics.waiting = waiting;
    metrics.kv_usage = usage;
    metrics.read_at = clock_.now() - ago;
  };
  read(0, std::chrono::seconds(1), 2, 0.25);
  read(1, std::chrono::seconds(2), 6, 0.75);
  read(2, std::chrono::seconds(3), 100, 1);  // stale
  read(3, std::chrono::seconds(0), 100, 1);
  fixture_.fleet.endpoints[3].healthy = false;
  for (const auto& [series, expected] : std::map<std::string, double>{
           {"llm_d_epp_average_queue_size{name=\"pool-a\"}", 4},
           {"llm_d_epp_std_dev_queue_size{name=\"pool-a\"}", 2},
           {"llm_d_epp_average_kv_cache_utilization{name=\"pool-a\"}", 0.5},
           {"llm_d_epp_std_dev_kv_cache_utilization{name=\"pool-a\"}", 0.25},
           {"inference_pool_average_queue_size{name=\"pool-a\"}", 4},
           {"inference_pool_ready_pods{name=\"pool-a\"}", 3},
           {"llm_d_epp_ready_endpoints{name=\"pool-a\"}", 3},
           {"llm_d_epp_per_endpoint_queue_size{name=\"pool-a\",model_server_endpoint=\"pod-1\"}",
            6},
           {"inference_pool_per_pod_queue_size{name=\"pool-a\",model_server_pod=\"pod-0\"}", 2}}) {
    EXPECT_EQ(value(series), expected) << series;
  }
  EXPECT_EQ(value("llm_d_epp_average_running_requests{name=\"pool-a\"}"), std::nullopt);
  EXPECT_EQ(value("llm_d_epp_per_endpoint_queue_size{name=\"pool-a\","
                  "model_server_endpoint=\"pod-2\"}"),
            std::nullopt);
}

TEST_F(EppMetricsTest, CountsStreamsWhenAskedTo) {
  metrics_.on_stream_started();
  metrics_.on_stream_started();
  metrics_.on_stream_ended(GrpcCode::kCancelled, std::chrono::milliseconds(20));
  EXPECT_EQ(value("llm_d_epp_extproc_streams_inflight"), 1);
  EXPECT_EQ(value("llm_d_epp_extproc_stream_duration_seconds_sum"), 0.02);
  EXPECT_EQ(value("llm_d_epp_extproc_streams_total{code=\"Canceled\"}"), 1);
  EppMetrics silent({}, clock_);
  silent.on_stream_started();
  silent.on_stream_ended(GrpcCode::kOk, {});
  EXPECT_THAT(silent.page(fixture_.fleet), Not(HasSubstr("extproc")));
}

TEST_F(EppMetricsTest, TellsPrefillDecisionsAndKeptSessionsApart) {
  auto plugins = std::make_shared<PolicyLabels>(*fixture_.labels);
  plugins->plugins[1] = {"sticky", "session-affinity-scorer"};
  plugins->plugins.push_back({"pd", "disagg-profile-handler"});
  fixture_.labels = plugins;
  fixture_.fill();
  metrics_.on_picked(fixture_.pick());  // every score of the session's scorer is 0.5: it is unknown
  const std::vector<EndpointId> ids = {EndpointId{0}, EndpointId{1}};
  const auto pick_with = [&](std::vector<double> scores, std::optional<EndpointId> prefill) {
    fixture_.fill();
    auto& entry = fixture_.trace.add(DecisionTrace::Step::kScore, 0, 1, Duration{});
    fixture_.trace.add_scores(entry, ids, scores);
    fixture_.decision.prefill = prefill;
    metrics_.on_picked(fixture_.pick());
  };
  pick_with({0, 1}, EndpointId{3});
  pick_with({1, 0}, EndpointId{3});
  const std::string decisions =
      "llm_d_epp_disagg_decision_total{plugin_name=\"pd\",plugin_type=\"disagg-profile-handler\","
      "model_name=\"m\",decision_type=";
  EXPECT_EQ(value(decisions + "\"prefill-decode\"}"), 2);
  EXPECT_EQ(value(decisions + "\"decode-only\"}"), 1);
  EXPECT_EQ(value("llm_d_inference_scheduler_disagg_decision_total{model_name=\"m\","
                  "decision_type=\"prefill-decode\"}"),
            2);
  EXPECT_EQ(value("llmd_epp_session_affinity_hits_total"), 1);
  EXPECT_EQ(value("llmd_epp_session_affinity_misses_total"), 1);
}

TEST_F(EppMetricsTest, HasUpstreamsBuckets) {
  metrics_.on_picked(fixture_.pick());
  metrics_.on_ended(fixture_.end());
  const std::vector<std::string> scheduling = {"0.0001", "0.0002", "0.0005", "0.001",
                                               "0.002",  "0.005",  "0.01",   "0.02",
                                               "0.05",   "0.1",    "+Inf"};
  EXPECT_EQ(bounds("llm_d_epp_scheduler_e2e_duration_seconds"), scheduling);
  EXPECT_EQ(bounds("llm_d_epp_plugin_duration_seconds"), scheduling);
  EXPECT_EQ(bounds("llm_d_epp_request_duration_seconds").size(), 36u);
  const std::vector<std::string> tokens = {"1",      "8",      "16",     "32",           "64",
                                           "128",    "256",    "512",    "1024",         "2048",
                                           "4096",   "8192",   "16384",  "32778",        "65536",
                                           "131072", "262144", "524288", "1.048576e+06", "+Inf"};
  EXPECT_EQ(bounds("llm_d_epp_request_input_tokens"), tokens);
  EXPECT_EQ(bounds("inference_objective_prompt_cached_tokens"), tokens);
  EXPECT_EQ(bounds("llm_d_epp_request_output_tokens").size(), 13u);
  EXPECT_EQ(bounds("llm_d_epp_request_size_bytes").size(), 26u);
}

TEST_F(EppMetricsTest, CountsFromManyThreads) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      const EppFixture mine;
      const std::string tenant = "tenant-" + std::to_string(thread % 2);
      for (int i = 0; i < 1000; ++i) {
        PickReport pick = mine.pick();
        pick.labels.fairness_id = tenant;
        metrics_.on_picked(pick);
        EndReport end = mine.end();
        end.labels = pick.labels;
        metrics_.on_ended(end);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const char* tenant : {"tenant-0", "tenant-1"}) {
    const std::string labels = "{model_name=\"m\",target_model_name=\"m\",fairness_id=\"" +
                               std::string(tenant) + "\",priority=\"0\"}";
    EXPECT_EQ(value("llm_d_epp_request_total" + labels), 2000);
    EXPECT_EQ(value("llm_d_epp_request_running" + labels), 0);
    EXPECT_EQ(value("llm_d_epp_request_duration_seconds_count" + labels), 2000);
  }
}

}  // namespace
}  // namespace kvasir
