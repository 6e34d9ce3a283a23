// Turns what a sidecar reports into metrics (docs/METRICS.md) and log lines.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/sidecar_options.h"
#include "sidecar/sidecar_probe.h"
#include "telemetry/metrics.h"

namespace kvasir {

class SidecarMetrics final : public SidecarProbe {
 public:
  // `connector`: as by --kv-connector. `kv_bytes_per_token`: of the model's KV cache, to tell how
  // much a handoff moves; 0: not known. `clock` must outlive it.
  SidecarMetrics(const Clock& clock, const std::string& connector, uint64_t kv_bytes_per_token);

  // Any thread.
  std::string page(const SidecarState& state) const;

  void on_started() override { in_flight_.add(1); }
  void on_leg(LegStage stage) override;
  void on_connection_failed(LegStage stage, std::string_view why) override;
  void on_done(const LegsReport& report) override;
  void on_refused(int status, std::string_view why) override;
  void on_blocked(std::string_view worker) override;
  void on_certificate_read(const std::string& problem) override;

 private:
  // By the last part of the path; the last one is of everything else.
  static constexpr std::array<std::string_view, 6> kApis = {
      "chat_completions", "completions", "responses", "messages", "generate", "other"};
  static size_t api_of(const LegsReport& report);
  void count(const LegsReport& report);
  void log(const LegsReport& report);

  MetricRegistry registry_;
  const std::string connector_;
  const uint64_t kv_bytes_per_token_;
  Counter &succeeded_, &failed_;
  Summary& duration_;
  Counter &prefills_, &decodes_;
  Counter &prefill_connections_, &decode_connections_;  // that failed
  Gauge& in_flight_;
  Counter& blocked_;
  std::array<Counter*, kApis.size()> by_api_{};
  Counter& disaggregated_;
  Histogram &prefill_duration_, &decode_duration_;
  Counter &prefill_errors_, &decode_errors_;
  std::array<Counter*, 5> by_path_{};             // of HandoffReport::Path
  std::array<std::atomic<bool>, 5> path_told_{};  // in the log
  std::atomic<uint64_t> handed_over_tokens_{0};
  std::atomic<bool> tokens_known_{false};
};

}  // namespace kvasir
