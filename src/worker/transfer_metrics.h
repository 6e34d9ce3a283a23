// What became of KV blocks on their way: vLLM's names for NixlConnector, and ours for every
// connector.
#pragma once

#include "telemetry/metrics.h"
#include "transfer/kv_connector.h"

namespace kvasir {

class TransferMetrics {
 public:
  // `registry` must outlive it. `time_scale`: durations of transfers are shown as model time.
  // `nixl`: with vLLM's names, which only NixlConnector has there.
  TransferMetrics(MetricRegistry& registry, const Labels& labels, double time_scale, bool nixl);

  void on_transfer(const KvTransferRecord& transfer);
  // Brings gauges and totals up to `stats`.
  void update(const KvTransferStats& stats);

 private:
  const double time_scale_;
  KvTransferStats seen_;  // what the counters already hold
  Gauge* offers_;
  Counter* bytes_;
  Counter* failed_;
  Counter* refused_peers_;
  Counter* unusable_;
  Histogram* seconds_;
  // Null: not shown.
  Histogram* nixl_time_ = nullptr;
  Histogram* nixl_post_ = nullptr;
  Histogram* nixl_bytes_ = nullptr;
  Histogram* nixl_descriptors_ = nullptr;
  Counter* nixl_failed_ = nullptr;
  Counter* nixl_failed_notifications_ = nullptr;
  Counter* nixl_expired_ = nullptr;
  Counter* nixl_late_notifications_ = nullptr;
};

}  // namespace kvasir
