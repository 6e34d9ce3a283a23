// Flow control's metrics: upstream's llm_d_epp_flow_control_* and their deprecated
// inference_extension_* twins. Counters and histograms are fed as things happen, gauges are worked
// out when the page is.
//
// Thread-safe; on_*() take no lock once a request's labels are known.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "apps/epp_request_series.h"
#include "flow/flow_stats.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"

namespace kvasir {

class FlowMetrics final : public FlowProbe {
 public:
  // Announces its names: made only where flow control is on. `requests` caps the labels that
  // clients choose. Both must outlive it.
  FlowMetrics(MetricRegistry& registry, RequestSeriesTable& requests, std::string pool);

  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                  Duration held) override;
  void on_cycle(Duration took) override;
  void on_revoked(Duration after) override;

  // The gauges, as of `stats`.
  std::string page(const FlowStats& stats) const;

 private:
  static constexpr size_t kOutcomeSeriesMax = 4000;  // outcomes times label sets

  void add_bands(MetricRegistry& page, const FlowStats& stats) const;
  void add_tenants(MetricRegistry& page, const std::vector<TenantService>& tenants) const;
  void add_flow(MetricRegistry& page, const FlowBandStats& band, const FlowQueueStats& flow) const;

  MetricRegistry& registry_;
  RequestSeriesTable& requests_;
  const std::string pool_;
  HandleTable<Histogram*> waits_{kOutcomeSeriesMax};
  HandleTable<Counter*> outcomes_{kOutcomeSeriesMax};
  Histogram& cycle_;
  Histogram& revocation_;
};

}  // namespace kvasir
