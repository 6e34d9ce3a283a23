#include "apps/flow_metrics.h"

#include "apps/epp_buckets.h"

namespace kvasir {
namespace {

constexpr const char* kWaits = "llm_d_epp_flow_control_request_queue_duration_seconds";
constexpr const char* kCycles = "llm_d_epp_flow_control_dispatch_cycle_duration_seconds";
constexpr const char* kOutcomes = "llm_d_epp_flow_control_requests_total";

double share(uint64_t used, uint64_t most) {
  return most == 0 ? 0 : static_cast<double>(used) / static_cast<double>(most);
}

}  // namespace

FlowMetrics::FlowMetrics(MetricRegistry& registry, RequestSeriesTable& requests, std::string pool)
    : registry_(registry),
      requests_(requests),
      pool_(std::move(pool)),
      cycle_(registry.histogram(kCycles, "One pass over the bands.", epp_buckets::kScheduling)),
      revocation_(registry.histogram("llm_d_epp_flow_control_revocation_confirmation_seconds",
                                     "From asking a request in flight to end to its end.",
                                     epp_buckets::kRevocation, {{"inference_pool", pool_}})) {
  for (const char* of : {kWaits, kCycles}) {
    const std::string name(of);
    Mirror mirror{name};
    mirror.keep_all = true;
    registry.mirror("inference_extension_" + name.substr(std::string("llm_d_epp_").size()),
                    "Deprecated: use " + name + ".", std::move(mirror));
  }
}

// The labels that a request waited under are capped in the same way as those of its own metrics.
void FlowMetrics::on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                             Duration held) {
  const std::string_view label = answer_for(outcome).label;
  const int64_t number = static_cast<int64_t>(outcome) << 32 | static_cast<uint32_t>(band);
  Counter** counter = outcomes_.find_or_make({{}, number}, [&] {
    return &registry_.counter(kOutcomes, "Requests that left flow control, by how.",
                              {{"outcome", std::string(label)},
                               {"priority", std::to_string(band)},
                               {"inference_pool", pool_}});
  });
  if (counter != nullptr) (*counter)->add();
  Histogram** waits = waits_.find({{request.model, request.fairness_id}, number});
  if (waits == nullptr) {
    const std::string model(requests_.model(request.model));
    const std::string fairness_id(requests_.fairness_id(request.fairness_id));
    waits = waits_.find_or_make({{model, fairness_id}, number}, [&] {
      return &registry_.histogram(kWaits, "How long a request was in flow control.",
                                  epp_buckets::kQueue,
                                  {{"fairness_id", fairness_id},
                                   {"priority", std::to_string(band)},
                                   {"outcome", std::string(label)},
                                   {"inference_pool", pool_},
                                   {"model_name", model},
                                   {"target_model_name", model}});
    });
  }
  if (waits != nullptr) (*waits)->observe(to_seconds(held));
}

void FlowMetrics::on_cycle(Duration took) {
  cycle_.observe(to_seconds(took));
}

void FlowMetrics::on_revoked(Duration after) {
  revocation_.observe(to_seconds(after));
}

std::string FlowMetrics::page(const FlowStats& stats) const {
  MetricRegistry page;
  const Labels pool = {{"inference_pool", pool_}};
  const PoolSaturation& saturation = stats.saturation;
  for (const auto& [stage, value] :
       {std::pair{"prefill", saturation.prefill}, std::pair{"decode", saturation.decode},
        std::pair{"effective", saturation.effective()}}) {
    page.gauge("llm_d_epp_flow_control_pool_saturation",
               "How full the pool is, by stage; requests are held from 1 on.",
               {{"inference_pool", pool_}, {"stage", stage}})
        .set(value);
  }
  page.gauge("inference_extension_flow_control_pool_saturation",
             "Deprecated: use llm_d_epp_flow_control_pool_saturation.", pool)
      .set(saturation.effective());
  page.gauge("llm_d_epp_flow_control_stale_endpoints",
             "Endpoints whose metrics are too old for the saturation detector; each counts as full.",
             pool)
      .set(static_cast<double>(saturation.stale_endpoints));
  add_bands(page, stats);
  const RevocationStats& revocations = stats.revocations;
  constexpr const char* kRevocations = "llm_d_epp_flow_control_revocations_total";
  constexpr const char* kHelp = "Requests in flight that were asked to end, by whether they did.";
  for (const auto& [outcome, count] : {std::pair{"confirmed", revocations.confirmed},
                                       std::pair{"timed_out", revocations.timed_out}}) {
    page.counter(kRevocations, kHelp, {{"outcome", outcome}, {"inference_pool", pool_}}).add(count);
  }
  page.counter("llm_d_epp_flow_control_revocations_issued_total",
               "Requests in flight that were asked to end.",
               {{"priority", ""}, {"inference_pool", pool_}})
      .add(revocations.issued);
  if (stats.tenants) add_tenants(page, *stats.tenants);
  return page.expose();
}

// Tenants beyond the label's cap are one: their tokens add up, and the last one's wait is shown.
void FlowMetrics::add_tenants(MetricRegistry& page,
                              const std::vector<TenantService>& tenants) const {
  double sum = 0;
  double squares = 0;
  size_t waited = 0;
  for (const TenantService& tenant : tenants) {
    const Labels labels = {{"program_id", std::string(requests_.fairness_id(tenant.fairness_id))}};
    page.gauge("llm_d_epp_program_aware_attained_service_tokens",
               "Tokens that a tenant got, weighted; they count less with time.", labels)
        .add(tenant.tokens);
    if (tenant.dispatched == 0) continue;
    const double wait_ms = to_milliseconds(tenant.mean_wait);
    page.gauge("llm_d_epp_program_aware_avg_wait_time_milliseconds",
               "How long a tenant's requests waited, the mean of all.", labels)
        .set(wait_ms);
    sum += wait_ms;
    squares += wait_ms * wait_ms;
    ++waited;
  }
  const bool alike = waited <= 1 || squares == 0;
  page.gauge("llm_d_epp_program_aware_jains_fairness_index",
             "Jain's index over the mean waits of tenants: 1 when they are equal.")
      .set(alike ? 1 : sum * sum / (static_cast<double>(waited) * squares));
}

void FlowMetrics::add_bands(MetricRegistry& page, const FlowStats& stats) const {
  const Labels pool = {{"inference_pool", pool_}};
  for (const FlowBandStats& band : stats.bands) {
    const Labels labels = {{"priority", std::to_string(band.priority)}, {"inference_pool", pool_}};
    page.gauge("llm_d_epp_flow_control_capacity_utilization_requests",
               "Requests held in a band, as a share of what it may hold.", labels)
        .set(share(band.requests, band.requests_most));
    page.gauge("llm_d_epp_flow_control_capacity_utilization_bytes",
               "Bytes held in a band, as a share of what it may hold.", labels)
        .set(share(band.bytes, band.bytes_most));
    for (const FlowQueueStats& flow : band.flows) add_flow(page, band, flow);
  }
  if (stats.requests_most) {
    page.gauge("llm_d_epp_flow_control_global_capacity_utilization_requests",
               "Requests held in all bands, as a share of what they may hold together.", pool)
        .set(share(stats.requests, *stats.requests_most));
  }
  if (stats.bytes_most) {
    page.gauge("llm_d_epp_flow_control_global_capacity_utilization_bytes",
               "Bytes held in all bands, as a share of what they may hold together.", pool)
        .set(share(stats.bytes, *stats.bytes_most));
  }
}

void FlowMetrics::add_flow(MetricRegistry& page, const FlowBandStats& band,
                           const FlowQueueStats& flow) const {
  const Labels labels = {{"fairness_id", std::string(requests_.fairness_id(flow.fairness_id))},
                         {"priority", std::to_string(band.priority)},
                         {"inference_pool", pool_}};
  // Flows beyond the label's cap are one.
  const auto add = [&](const std::string& name, const char* help, uint64_t amount) {
    for (const char* prefix : {"llm_d_epp_flow_control_", "inference_extension_flow_control_"}) {
      const bool is_old = *prefix == 'i';
      page.gauge(prefix + name,
                 is_old ? "Deprecated: use llm_d_epp_flow_control_" + name + "." : help, labels)
          .add(static_cast<double>(amount));
    }
  };
  add("queue_size", "Requests held by flow control.", flow.requests);
  add("queue_bytes", "Bytes of the requests held by flow control.", flow.bytes);
}

}  // namespace kvasir
