// Turns what the gateway reports into metrics (names in docs/METRICS.md) and log lines.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gateway/probe.h"
#include "net/socket.h"
#include "telemetry/metrics.h"

namespace kvasir {

class GatewayMetrics final : public GatewayProbe {
 public:
  GatewayMetrics(const std::vector<HostPort>& workers, const std::string& policy);

  std::string page() const { return registry_.expose(); }
  // Before a page: what waits now.
  void note_flow(const FlowStats& stats);

  void on_health_changed(const Endpoint& endpoint, bool healthy) override;
  void on_started() override;
  void on_routed(EndpointId endpoint) override;
  void on_released(EndpointId endpoint) override;
  void on_retry(EndpointId failed, std::string_view reason) override;
  void on_finished(const RequestReport& report) override;
  void on_refused(int status, std::string_view reason) override;
  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome, Duration held) override;

 private:
  struct PerEndpoint {
    std::string name;
    Gauge* healthy;
    Gauge* in_flight;
    Counter* requests;
    Counter* retries;
  };

  struct PerOutcome {
    Counter* requests = nullptr;
    Histogram* held = nullptr;
  };

  Counter& requests(int status);

  static constexpr int kStatusMax = 600;

  Registry registry_;
  // By status, looked up once each: a look-up takes the registry's lock.
  std::array<std::atomic<Counter*>, kStatusMax> by_status_{};
  const std::string policy_;
  std::vector<PerEndpoint> endpoints_;
  std::array<PerOutcome, kFlowOutcomes> outcomes_;
  Gauge& in_flight_;
  Gauge& held_requests_;
  Gauge& held_bytes_;
  Gauge& saturation_;
  Histogram& duration_;
  Histogram& time_to_first_token_;
  Histogram& scheduling_;
};

}  // namespace kvasir
