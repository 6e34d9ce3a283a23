// What the gateway reports of itself. apps/ turns it into metrics and logs. Called from every gateway thread:
// implementations are thread-safe and do not block.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "feeds/endpoint_monitor.h"
#include "feeds/metrics_scraper.h"
#include "model/endpoint.h"

namespace kvasir {

struct RequestReport {
  int status = 0;  // 499: the client left before the answer was complete
  std::optional<EndpointId> endpoint;
  bool inference = false;  // routed by the policy
  bool complete = false;   // the whole answer was relayed
  Duration total{};
  std::optional<Duration> first_byte;  // of the body, streamed answers only
  Duration scheduling{};
};

class GatewayProbe : public MonitorProbe, public ScrapeProbe {
 public:
  // Endpoints came or went; on the thread of the gateway's loop, and before any of them is routed to.
  virtual void on_joined(EndpointId slot, const Endpoint& endpoint) {
    static_cast<void>(slot), static_cast<void>(endpoint);
  }
  virtual void on_left(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  virtual void on_endpoint_refused(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  virtual void on_discovery_failed(std::string_view source, std::string_view why) {
    static_cast<void>(source), static_cast<void>(why);
  }

  virtual void on_started() = 0;
  virtual void on_routed(EndpointId endpoint) = 0;    // an attempt goes there
  virtual void on_released(EndpointId endpoint) = 0;  // that attempt is over
  virtual void on_retry(EndpointId failed, std::string_view reason) = 0;
  virtual void on_finished(const RequestReport& report) = 0;
  virtual void on_refused(int status, std::string_view reason) = 0;  // before it was a whole request
};

}  // namespace kvasir
