// Turns what the gateway reports into metrics (names in docs/METRICS.md) and log lines.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/leg_series.h"
#include "apps/pool_metrics.h"
#include "apps/tenant_series.h"
#include "gateway/probe.h"
#include "net/io/socket.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"
#include "wire/kube/kube_object.h"

namespace kvasir {

class AccessLog;
class DecisionLog;

class GatewayMetrics final : public PoolMetrics<GatewayProbe> {
 public:
  // `log` may be null, else it must outlive this.
  explicit GatewayMetrics(const std::string& policy, DecisionLog* log = nullptr)
      : GatewayMetrics(nullptr, {}, policy, log) {}
  // Of one more pool of that gateway, on its page and in its log: each series has pool_labels().
  // `first` must outlive it.
  GatewayMetrics(GatewayMetrics& first, const std::string& policy, const ObjectKey& pool)
      : GatewayMetrics(&first.registry_, pool_labels(pool), policy, first.log_) {}
  // pool="NAMESPACE/NAME".
  static Labels pool_labels(const ObjectKey& pool) { return {{"pool", to_string(pool)}}; }

  // Before the gateway is made. Null: there is none; else it must outlive this.
  void set_access_log(AccessLog* log) { access_log_ = log; }
  void count_tenants() { tenants_.emplace(registry_); }
  // The file of keys was read again.
  void on_keys_read(bool used) { tenants_->read(used); }

  // `tenants`: whose requests in flight it has; null: nobody's.
  std::string page(const TenantTable* tenants = nullptr) const;
  // Before a page: what waits now.
  void note_flow(const FlowStats& stats);

  void on_joined(EndpointId slot, const Endpoint& endpoint) override;
  void on_scrape_failed(const Endpoint& endpoint, std::string_view source_type, bool extract,
                        std::string_view why, bool first) override;
  void on_health_changed(const Endpoint& endpoint, bool healthy) override;
  void on_unwatched(const Endpoint& endpoint) override;
  void on_started() override;
  void on_routed(const Endpoint& endpoint) override;
  void on_released(const Endpoint& endpoint) override;
  void on_retry(const Endpoint& failed, RetryReason reason, std::string_view detail) override;
  void on_poison(std::string_view request_id, size_t endpoints) override;
  void on_bad_answer(const BadAnswer& answer) override;
  void on_picked(const PickReport& report) override;
  void on_refused(const RefusalReport& report) override;
  void on_ended(const EndReport& report) override;
  void on_certificate_read(std::string_view error) override;
  void on_not_relayed(int status, std::string_view reason) override;
  void on_visit_ended(const VisitReport& report) override;
  void on_two_legs(const TwoLegsReport& report) override { legs_.ended(report); }
  void on_routed_by_header(const HeaderRoute* route) override { legs_.routed(route); }
  void on_header_route(const HeaderRouteReport& report) override { legs_.ended(report); }
  void on_route_answer(const RouteAnswerReport& report) override { legs_.ended(report); }
  void on_route_retry(const RouteRule& rule, const RouteTarget& target,
                      RouteRetryReason reason) override {
    legs_.retried(rule, target, reason);
  }
  void on_mirrored(const MirrorReport& report) override { legs_.ended(report); }
  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome, Duration held) override;

 private:
  struct PerEndpoint {
    Gauge* healthy;
    Gauge* in_flight;
    Counter* requests;
    Counter* retries;
  };

  struct PerOutcome {
    Counter* requests = nullptr;
    Histogram* held = nullptr;
  };

  GatewayMetrics(MetricRegistry* all, Labels pool, const std::string& policy, DecisionLog* log);
  Counter& requests(int status);
  // Null: there are too many.
  PerEndpoint* find(const Endpoint& endpoint) const { return endpoints_.find({{endpoint.name}, 0}); }

  static constexpr int kStatusMax = 600;
  static constexpr size_t kEndpointsMax = 10'000;  // ever seen; more are not counted

  // By status, looked up once each: a look-up takes the registry's lock.
  std::array<std::atomic<Counter*>, kStatusMax> by_status_{};
  const std::string policy_;
  DecisionLog* const log_;
  AccessLog* access_log_ = nullptr;
  std::optional<TenantSeries> tenants_;
  std::array<PerOutcome, kFlowOutcomes> outcomes_;
  std::array<Counter*, kRetryReasons> retries_{};
  // By name. One that left keeps its counters, and has them again when it comes back.
  HandleTable<PerEndpoint> endpoints_{kEndpointsMax};
  LegSeries legs_;
  Gauge& in_flight_;
  Counter& poison_;
  Gauge& held_requests_;
  Gauge& held_bytes_;
  Gauge& saturation_;
  Gauge& stale_endpoints_;
  Histogram& duration_;
  Histogram& time_to_first_token_;
  Histogram& scheduling_;
};

}  // namespace kvasir
