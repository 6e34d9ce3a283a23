// What the gateway's page says of requests with two legs and of routes.
#pragma once

#include <array>
#include <string>

#include "gateway/probe.h"
#include "telemetry/metrics.h"

namespace kvasir {

// Thread-safe.
class LegSeries {
 public:
  // `registry` must outlive it.
  explicit LegSeries(MetricRegistry& registry);

  void ended(const TwoLegsReport& report);
  // null: the default route.
  void routed(const HeaderRoute* route);
  void ended(const HeaderRouteReport& report);
  void ended(const RouteAnswerReport& report);
  void retried(const RouteRule& rule, const RouteTarget& target, RouteRetryReason reason);
  void ended(const MirrorReport& report);

 private:
  static constexpr size_t kPaths = 5;  // of HandoffReport

  MetricRegistry& registry_;
  std::array<Counter*, kPaths> requests_{};
  Counter& hedged_;
  Counter& released_;
  Histogram& prefill_;
};

}  // namespace kvasir
