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

  void on_health_changed(const Endpoint& endpoint, bool healthy) override;
  void on_started() override;
  void on_routed(EndpointId endpoint) override;
  void on_released(EndpointId endpoint) override;
  void on_retry(EndpointId failed, std::string_view reason) override;
  void on_finished(const RequestReport& report) override;
  void on_refused(int status, std::string_view reason) override;

 private:
  struct PerEndpoint {
    std::string name;
    Gauge* healthy;
    Gauge* in_flight;
    Counter* requests;
    Counter* retries;
  };

  Counter& requests(int status);

  static constexpr int kStatusMax = 600;

  Registry registry_;
  // By status, looked up once each: a look-up takes the registry's lock.
  std::array<std::atomic<Counter*>, kStatusMax> by_status_{};
  const std::string policy_;
  std::vector<PerEndpoint> endpoints_;
  Gauge& in_flight_;
  Histogram& duration_;
  Histogram& time_to_first_token_;
  Histogram& scheduling_;
};

}  // namespace kvasir
