// The metrics of a vLLM 0.32.0 server, by the same names, labels and buckets
// (tests/vllm/metrics.txt). All durations are model time: what the imitated server would have
// measured.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "engine/engine.h"
#include "telemetry/metrics.h"
#include "timing/engine_profile.h"
#include "worker/kv_event_publisher.h"
#include "worker/transfer_metrics.h"
#include "worker/tutorial_metrics.h"

namespace kvasir {

// One sequence that ran to its end.
struct FinishedSequence {
  std::string_view reason;  // "stop" or "length"
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;
  uint64_t generation_tokens = 0;
  uint64_t max_tokens = 0;
  SequenceTimes times;
  TimePoint end{};
};

// What vllm:lora_requests_info tells: lists of names, separated by commas.
struct AdapterGauges {
  uint32_t most = 1;  // --max-loras
  std::string running;
  std::string waiting;
};

// Thread-safe as far as MetricRegistry is; used from the worker's loop.
class WorkerMetrics {
 public:
  WorkerMetrics(const std::string& model_name, const EngineProfile& profile,
                const EngineOptions& engine);

  // `generation_tokens`: of all steps until now, this one included.
  void on_step(uint64_t tokens, uint64_t generation_tokens, TimePoint now);
  void on_first_token(Duration since_arrival);
  void on_next_token(Duration since_last) { inter_token_latency_->observe(to_seconds(since_last)); }
  void on_finished(const FinishedSequence& sequence);
  // All `choices` of one prompt ended; the longest has `generation_tokens`.
  void on_prompt_finished(uint64_t choices, uint64_t generation_tokens);
  // A sequence ended because its blocks could not be loaded.
  void on_failed() { failed_->add(); }
  // A request for an answer is over: it was answered, or refused or given up.
  void on_request_over(bool success);
  void on_http(std::string_view method, std::string_view handler, int status);

  // Shows what became of KV events, from the first call on.
  void set_kv_events(const KvEventCounts& counts);

  // Also shows what becomes of KV blocks that travel. `nixl`: see TransferMetrics.
  void add_transfers(double time_scale, bool nixl);
  // Null: nothing travels.
  TransferMetrics* transfers() { return transfers_.get(); }

  // Also shows the names of TutorialMetrics.
  void add_tutorial_names(const EngineProfile& profile);

  // The page, with the gauges and totals of now. `adapters`: null when none are served.
  std::string expose(const EngineStats& stats, Duration lost_time, TimePoint now,
                     const AdapterGauges* adapters);

 private:
  void add_constants(const EngineProfile& profile, const EngineOptions& engine);
  void add_histograms(uint32_t max_model_len);
  void add_totals();
  Labels labels(Labels more = {}) const;

  const std::string model_name_;
  const bool has_cpu_tier_;
  MetricRegistry registry_;
  EngineStats seen_;  // what the counters already hold
  KvEventCounts kv_events_seen_;
  Counter* prefix_queries_;
  Counter* prefix_hits_;
  Counter* preemptions_;
  Counter* prompt_tokens_;
  Counter* computed_tokens_;
  Counter* cached_tokens_;
  Counter* cached_by_source_;
  Counter* cached_on_device_;
  Counter* cached_on_host_;
  Counter* cached_elsewhere_;  // by connectors
  Counter* transferred_;
  Counter* external_queries_;
  Counter* external_hits_;
  Counter* generation_tokens_;
  Counter* stopped_;
  Counter* reached_length_;
  Counter* failed_;
  Gauge* running_;
  Gauge* waiting_;
  Gauge* waiting_capacity_;
  Gauge* cache_usage_;
  Gauge* lost_seconds_;
  std::unique_ptr<TutorialMetrics> tutorial_;   // null: not shown
  std::unique_ptr<TransferMetrics> transfers_;  // null: nothing travels
  Histogram* iteration_tokens_;
  Histogram* time_to_first_token_;
  Histogram* inter_token_latency_;
  Histogram* time_per_output_token_;
  Histogram* e2e_latency_;
  Histogram* queue_time_;
  Histogram* inference_time_;
  Histogram* prefill_time_;
  Histogram* decode_time_;
  Histogram* request_prompt_tokens_;
  Histogram* request_generation_tokens_;
  Histogram* max_generation_tokens_;
  Histogram* params_n_;
  Histogram* params_max_tokens_;
  Histogram* preemptions_of_request_;
  Histogram* prefill_computed_tokens_;
};

}  // namespace kvasir
