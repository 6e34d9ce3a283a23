// What the gateway reports of itself. apps/ turns it into metrics and logs. Called from every gateway thread:
// implementations are thread-safe and do not block.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "feeds/endpoint_monitor.h"
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

class GatewayProbe : public MonitorProbe {
 public:
  virtual void on_started() = 0;
  virtual void on_routed(EndpointId endpoint) = 0;    // an attempt goes there
  virtual void on_released(EndpointId endpoint) = 0;  // that attempt is over
  virtual void on_retry(EndpointId failed, std::string_view reason) = 0;
  virtual void on_finished(const RequestReport& report) = 0;
  virtual void on_refused(int status, std::string_view reason) = 0;  // before it was a whole request
};

}  // namespace kvasir
