// Turns what the endpoint picker reports into metrics (names in docs/METRICS.md) and log lines.
//
// on_picked() takes no lock once a request's labels are known; see the benchmark beside it.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "apps/epp_policy_series.h"
#include "apps/epp_request_series.h"
#include "apps/flow_metrics.h"
#include "apps/pool_metrics.h"
#include "epp/probe.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"

namespace kvasir {

class DecisionLog;

struct EppMetricsOptions {
  std::string pool = "default";                  // the label `name` of the pool's metrics
  Duration staleness = std::chrono::seconds(2);  // of engine metrics, for the pool's averages
  bool streams = false;                          // llm_d_epp_extproc_*
  std::string version = {};                      // llm_d_epp_info; empty: none
};

class EppMetrics final : public PoolMetrics<EppProbe> {
 public:
  // `clock`: the one that Snapshots are dated by. It and `log` (may be null) must outlive it.
  EppMetrics(EppMetricsOptions options, const Clock& clock, DecisionLog* log = nullptr);

  // Renders GET /metrics. `flow`: null while flow control is off.
  // `readings`: what plugins show.
  std::string page(const Snapshot& fleet, const FlowStats* flow = nullptr,
                   const std::vector<PluginReading>& readings = {});

  void on_scrape_failed(const Endpoint& endpoint, std::string_view source_type, bool extract,
                        std::string_view why, bool first) override;
  void on_certificate_read(std::string_view error) override;
  void on_stream_started() override;
  void on_stream_ended(GrpcCode code, Duration took) override;
  void on_picked(const PickReport& report) override;
  void on_refused(const RefusalReport& report) override;
  void on_answer_processed(Duration took) override;
  void on_ended(const EndReport& report) override;
  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                  Duration held) override;
  void on_cycle(Duration took) override;
  void on_revoked(Duration after) override;
  void on_model_rewritten(std::string_view rewrite, std::string_view model,
                          std::string_view target) override;
  void on_replica_found(uint64_t origin, size_t others) override;
  void on_replica_lost(uint64_t origin, size_t others) override;
  void on_replica_trouble(std::string_view what) override;
  void on_replica_refused(ReplicaRefusal reason) override;

 private:
  // Of one endpoint, by its name: slots of the fleet change hands.
  struct EndpointSeries {
    std::string name;
    std::string port;
    Counter* prompt_tokens;
    Counter* cached_tokens;
    Counter* cached_bytes;
    Counter* prompts;  // whose bytes are known
  };
  static constexpr size_t kEndpointsMax = 10'000;
  static constexpr size_t kAttemptSeriesMax = 20'000;   // target models times endpoints
  static constexpr size_t kRewriteSeriesMax = 5'000;    // rules, models and targets
  static constexpr size_t kInFlightSeriesMax = 20'000;  // endpoints times tenants and priorities

  void add_twins();
  FlowMetrics& flow_metrics();
  EndpointSeries* endpoint(EndpointId id, const Snapshot& fleet);
  void count_attempt(const PickReport& report, EndpointSeries* picked);
  void count_failure(const RefusalReport& report);
  void count_tokens(const PickReport& report, EndpointSeries* picked);
  Gauge* in_flight(const RequestLabels& labels, std::string_view endpoint);
  void observe_scheduling(Duration took);
  std::string cache_page(const Snapshot& fleet) const;
  static std::string readings_page(const Snapshot& fleet,
                                   const std::vector<PluginReading>& readings);

  const EppMetricsOptions options_;
  const Clock& clock_;
  DecisionLog* const log_;
  RequestSeriesTable requests_;
  PolicySeries policies_;
  Histogram& scheduling_;
  Summary& scheduling_summary_;
  Histogram& processing_;
  Histogram& answering_;
  Histogram& answer_message_;
  Counter& decisions_;
  Counter& decisions_no_pods_;
  Counter& decisions_filtered_out_;
  HandleTable<EndpointSeries> endpoints_{kEndpointsMax};
  HandleTable<Counter*> attempts_{kAttemptSeriesMax};
  HandleTable<Counter*> rewrites_{kRewriteSeriesMax};
  HandleTable<Gauge*> in_flight_{kInFlightSeriesMax};
  Gauge* streams_ = nullptr;  // when they are wanted, as the next
  Histogram* stream_duration_ = nullptr;
  std::once_flag flow_made_;
  std::optional<FlowMetrics> flow_;  // from when flow control is on
};

}  // namespace kvasir
