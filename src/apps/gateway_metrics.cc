#include "apps/gateway_metrics.h"

#include <algorithm>
#include <utility>

#include "apps/access_log.h"
#include "apps/decision_log.h"
#include "apps/log_page.h"
#include "apps/request_log.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

const std::vector<double> kLatencySeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
                                             5,     10,   20,    40,   80,  160,  320, 640};
// By RetryReason.
constexpr const char* kRetryReasonNames[kRetryReasons] = {
    "not-connected", "closed",     "malformed",         "server-error",
    "unhealthy",     "no-address", "too-many-requests", "too-late"};

const std::vector<double> kSchedulingSeconds = {5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2};

}  // namespace

GatewayMetrics::GatewayMetrics(MetricRegistry* all, Labels pool, const std::string& policy,
                               DecisionLog* log)
    : PoolMetrics(all, std::move(pool)),
      policy_(policy),
      log_(log),
      legs_(registry_),
      in_flight_(
          registry_.gauge("kvasir_gateway_requests_in_flight", "Requests being answered now.")),
      poison_(registry_.counter("kvasir_gateway_poison_requests_total",
                                "Requests that several endpoints closed their connection on.")),
      held_requests_(
          registry_.gauge("kvasir_gateway_held_requests", "Requests waiting for their turn now.")),
      held_bytes_(registry_.gauge("kvasir_gateway_held_bytes", "Bytes of their bodies.")),
      saturation_(
          registry_.gauge("kvasir_gateway_pool_saturation",
                          "How full the workers are; from 1 on requests wait or are shed.")),
      stale_endpoints_(registry_.gauge("kvasir_gateway_stale_endpoints",
                                       "Workers whose metrics are too old for the saturation "
                                       "detector; each counts as full.")),
      duration_(registry_.histogram("kvasir_gateway_request_duration_seconds",
                                    "From the whole request read to the end of its answer.",
                                    kLatencySeconds, {{"policy", policy}})),
      time_to_first_token_(registry_.histogram(
          "kvasir_gateway_time_to_first_token_seconds",
          "From the whole request read to the first body byte of the worker's answer.",
          kLatencySeconds, {{"policy", policy}})),
      scheduling_(registry_.histogram("kvasir_gateway_scheduling_seconds",
                                      "Reading, hashing and picking for one request.",
                                      kSchedulingSeconds, {{"policy", policy}})) {
  for (size_t i = 0; i < kRetryReasons; ++i) {
    retries_[i] = &registry_.counter("kvasir_gateway_retries_total",
                                     "Requests that were sent to another endpoint, by what the one before did.",
                                     {{"reason", kRetryReasonNames[i]}});
  }
  for (uint8_t i = 0; i < kFlowOutcomes; ++i) {
    const Labels labels = {{"outcome", std::string(answer_for(FlowOutcome{i}).label)}};
    outcomes_[i] = {&registry_.counter("kvasir_gateway_admissions_total",
                                       "Requests that flow control let through or dropped.", labels),
                    &registry_.histogram("kvasir_gateway_hold_seconds",
                                         "How long they waited for that (model time).", kLatencySeconds, labels)};
  }
}

std::string GatewayMetrics::page(const TenantTable* tenants) const {
  MetricRegistry now;
  if (tenants != nullptr) TenantSeries::add_in_flight(*tenants, now);
  if (log_ != nullptr) log_->add_counts(now, "kvasir_gateway_decision_log_");
  if (access_log_ != nullptr) access_log_->add_counts(now);
  return registry_.expose() + now.expose() + log_page();
}

void GatewayMetrics::on_visit_ended(const VisitReport& report) {
  if (access_log_ != nullptr) access_log_->ended(report);
  if (tenants_) tenants_->ended(report);
}

void GatewayMetrics::on_joined(EndpointId, const Endpoint& endpoint) {
  endpoints_.find_or_make({{endpoint.name}, 0}, [&] {
    const Labels labels = {{"endpoint", endpoint.name}};
    return PerEndpoint{
        &registry_.gauge("kvasir_gateway_upstream_healthy", "1 while its health checks pass.", labels),
        &registry_.gauge("kvasir_gateway_upstream_requests_in_flight",
                         "Requests that the endpoint is answering now.", labels),
        &registry_.counter("kvasir_gateway_upstream_requests_total",
                           "Attempts sent to the endpoint.", labels),
        &registry_.counter("kvasir_gateway_upstream_retries_total",
                           "Attempts that failed there before the first body byte.", labels)};
  });
}

void GatewayMetrics::on_scrape_failed(const Endpoint& endpoint, std::string_view source_type,
                                      bool extract, std::string_view why, bool first) {
  registry_.counter("kvasir_gateway_scrape_errors_total",
                    "Metrics pages that did not come (poll) or held nothing that was wanted (extract).",
                    {{"kind", extract ? "extract" : "poll"}, {"source", std::string(source_type)}}).add();
  PoolMetrics::on_scrape_failed(endpoint, source_type, extract, why, first);
}

void GatewayMetrics::on_health_changed(const Endpoint& endpoint, bool healthy) {
  if (PerEndpoint* known = find(endpoint)) known->healthy->set(healthy ? 1 : 0);
  PoolMetrics::on_health_changed(endpoint, healthy);
}

void GatewayMetrics::on_unwatched(const Endpoint& endpoint) {
  if (PerEndpoint* known = find(endpoint)) known->healthy->set(0);
}

void GatewayMetrics::on_started() { in_flight_.add(1); }

void GatewayMetrics::on_routed(const Endpoint& endpoint) {
  PerEndpoint* routed = find(endpoint);
  if (routed == nullptr) return;
  routed->in_flight->add(1);
  routed->requests->add();
}

void GatewayMetrics::on_released(const Endpoint& endpoint) {
  if (PerEndpoint* routed = find(endpoint)) routed->in_flight->add(-1);
}

void GatewayMetrics::on_retry(const Endpoint& failed, RetryReason reason, std::string_view detail) {
  if (PerEndpoint* endpoint = find(failed)) endpoint->retries->add();
  retries_[static_cast<size_t>(reason)]->add();
  log_repeated(LogLevel::kWarning, "retries",
               "retry: endpoint " + failed.name + ": " + std::string(detail));
}

void GatewayMetrics::on_poison(std::string_view request_id, size_t endpoints) {
  poison_.add();
  log_repeated(LogLevel::kWarning, "poison",
               "request " + std::string(request_id) + " is not sent to more endpoints: " +
                   std::to_string(endpoints) + " closed the connection on it without an answer");
}

void GatewayMetrics::on_bad_answer(const BadAnswer& answer) {
  std::string text = "request " + std::string(answer.request_id);
  text += answer.cut ? ": its answer was cut after it had begun" : " failed";
  text += answer.status == 0 ? ": " : " (status " + std::to_string(answer.status) + "): ";
  if (!answer.endpoint.empty()) text += "endpoint " + std::string(answer.endpoint) + ": ";
  log_repeated(LogLevel::kWarning, answer.cut ? "answers that were cut" : "requests that failed",
               text.append(answer.why));
}

void GatewayMetrics::on_picked(const PickReport& report) {
  if (log_ != nullptr) log_->picked(report);
}

void GatewayMetrics::on_refused(const RefusalReport& report) {
  if (log_ != nullptr) log_->refused(report);
}

void GatewayMetrics::on_ended(const EndReport& report) {
  log_request(report);
  in_flight_.add(-1);
  requests(report.status).add();
  if (!report.scheduled) return;
  kv_predictions_.ended(report);
  duration_.observe(to_seconds(report.total));
  scheduling_.observe(to_seconds(report.preparing + report.scheduling));
  if (report.first_byte) time_to_first_token_.observe(to_seconds(*report.first_byte));
}

void GatewayMetrics::on_outcome(const Request&, int32_t, FlowOutcome outcome, Duration held) {
  const PerOutcome& counted = outcomes_[static_cast<size_t>(outcome)];
  counted.requests->add();
  counted.held->observe(to_seconds(held));
}

void GatewayMetrics::note_flow(const FlowStats& stats) {
  held_requests_.set(static_cast<double>(stats.requests));
  held_bytes_.set(static_cast<double>(stats.bytes));
  saturation_.set(stats.saturation.effective());
  stale_endpoints_.set(static_cast<double>(stats.saturation.stale_endpoints));
}

void GatewayMetrics::on_certificate_read(std::string_view error) {
  registry_
      .counter("kvasir_gateway_certificate_reads_total",
               "Changed certificates of --tls-cert-path, or authorities of --tls-client-ca.",
               {{"result", error.empty() ? "used" : "refused"}})
      .add();
  if (error.empty()) return log_info("new connections get the new certificates");
  log_error("the changed certificates are not used, those before stay: " + std::string(error));
}

void GatewayMetrics::on_not_relayed(int status, std::string_view reason) {
  requests(status).add();
  const std::string kind = "refused a request with " + std::to_string(status);
  log_repeated(LogLevel::kInfo, kind, kind + ": " + std::string(reason));
}

Counter& GatewayMetrics::requests(int status) {
  const bool known = status >= 0 && status < kStatusMax;
  if (known) {
    if (Counter* found = by_status_[static_cast<size_t>(status)].load()) return *found;
  }
  Counter& counter = registry_.counter(
      "kvasir_gateway_requests_total", "Requests by the status of their answer (499: the client left).",
      {{"code", std::to_string(status)}, {"policy", policy_}});
  if (known) by_status_[static_cast<size_t>(status)].store(&counter);
  return counter;
}

}  // namespace kvasir
