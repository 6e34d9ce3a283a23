// Turns what a prefill/decode proxy reports into metrics (docs/PD_PROXY.md) and log lines.
#pragma once

#include <string>
#include <string_view>

#include "pdproxy/pd_proxy_probe.h"
#include "telemetry/label_cap.h"
#include "telemetry/metrics.h"

namespace kvasir {

class PdProxyMetrics final : public PdProxyProbe {
 public:
  // `access_log`: a line for each request that had two legs.
  explicit PdProxyMetrics(bool access_log);

  void on_done(const PdReport& report) override;
  void on_refused(int status, std::string_view why) override;
  void on_prefill_ended(const PdWorker& worker, LegsObserver::End end) override;
  void on_decoder_failed(const PdWorker& worker) override;
  void on_heard(PdWorkers::Heard what, const P2pRegistration& registration) override;
  void on_malformed(std::string_view why) override;
  void on_expired(const PdWorker& worker) override;
  std::string page(const PdWorkers& workers, size_t waiting, TimePoint now) override;

 private:
  Counter& legs(std::string_view name, std::string_view help, const PdWorker& worker,
                std::string_view end);
  void count_registration(std::string_view result);
  void log(const PdReport& report) const;

  const bool access_log_;
  MetricRegistry registry_;
  LabelCap worker_names_;
  Histogram& request_seconds_;
  Histogram& prefill_seconds_;
  Histogram& first_byte_seconds_;
};

// The line of the access log.
std::string pd_access_line(const PdReport& report);

}  // namespace kvasir
