// The worker's metrics by the names of the tutorial that EndpointPicker configurations are often
// copied from (vllm_queue_length, ...), and a simulated GPU utilisation by DCGM's name too. A real
// vLLM has none of them. What cannot be known is absent, never 0: sizes in bytes when the engine
// profile has none, a latency before the first answer.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "telemetry/metrics.h"
#include "timing/engine_profile.h"

namespace kvasir {

class TutorialMetrics {
 public:
  // The window of the rate of tokens, and how many answers the 99th percentile looks back at.
  static constexpr Duration kRateWindow = std::chrono::seconds(10);
  static constexpr size_t kLatenciesMax = 1000;

  // `registry` must outlive it and already hold vLLM's own families.
  TutorialMetrics(MetricRegistry& registry, Labels labels, const EngineProfile& profile);

  void on_step(uint64_t generation_tokens, TimePoint now);
  void on_first_token() { ++first_tokens_; }
  void on_sequence_finished(Duration latency);
  void on_request_over(bool success) { (success ? succeeded_ : failed_)->add(); }

  // Brings the gauges and totals up to `stats`.
  void update(const EngineStats& stats, TimePoint now);

 private:
  struct Sample {
    TimePoint at;
    uint64_t generation_tokens;
  };
  double tokens_per_second(uint64_t generation_tokens, TimePoint now);
  double latency_p99() const;

  MetricRegistry& registry_;
  const Labels labels_;
  const uint32_t sequences_max_;
  Counter* succeeded_;
  Counter* failed_;
  Counter* tokens_generated_;
  Counter* prefill_tokens_;
  Counter* decode_tokens_;
  Gauge* active_requests_;
  Gauge* queue_length_;
  Gauge* tokens_per_second_;
  Gauge* hit_rate_;
  std::vector<Gauge*> cache_usage_;      // the same by two names
  std::vector<Gauge*> gpu_utilization_;  // the same by three names
  Gauge* latency_p99_ = nullptr;         // from the first answer on
  std::deque<Sample> samples_;           // a tenth of the window apart
  TimePoint last_step_{};
  std::vector<double> latencies_;  // seconds; a ring
  size_t next_latency_ = 0;
  uint64_t first_tokens_ = 0;
};

}  // namespace kvasir
