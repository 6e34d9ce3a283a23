#include "apps/tenant_series.h"

#include <algorithm>
#include <map>

#include "apps/tenant_words.h"
#include "telemetry/label_cap.h"
#include "tenants/tenant_table.h"

namespace kvasir {
namespace {

constexpr const char* kClassNames[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

// Of no tenant there is no label: Prometheus takes an empty one for none.
Labels tenant_labels(std::string_view tenant, const char* name, std::string_view value) {
  Labels labels;
  if (!tenant.empty()) labels.emplace_back("tenant", tenant);
  labels.emplace_back(name, value);
  return labels;
}

}  // namespace

TenantSeries::TenantSeries(MetricRegistry& registry)
    : registry_(registry), others_(make(kOtherLabel)), unknown_(make("")) {}

TenantSeries::PerTenant TenantSeries::make(std::string_view tenant) {
  PerTenant made;
  for (size_t i = 0; i < kStatusClasses; ++i) {
    made.requests[i] = &registry_.counter(
        "kvasir_gateway_tenant_requests_total",
        "Requests of a tenant by the class of their answer's status (4xx: it left before as well).",
        tenant_labels(tenant, "code", kClassNames[i]));
  }
  const std::pair<const char*, Counter**> kinds[] = {{"prompt", &made.prompt_tokens},
                                                     {"completion", &made.completion_tokens},
                                                     {"cached", &made.cached_tokens},
                                                     {"counted", &made.counted_tokens}};
  for (const auto& [kind, counter] : kinds) {
    *counter = &registry_.counter(
        "kvasir_gateway_tenant_tokens_total",
        "Tokens of a tenant: of prompts, of answers, of prompts that were cached, as answers say; "
        "and what counted against its limit, which is estimated where they do not.",
        tenant_labels(tenant, "kind", kind));
  }
  for (size_t i = 1; i < kTenantRefusals; ++i) {
    made.refusals[i] = &registry_.counter(
        "kvasir_gateway_tenant_refusals_total",
        "Requests that were refused for want of a key, for their model, or for a limit.",
        tenant_labels(tenant, "reason", word_of(static_cast<TenantRefusal>(i))));
  }
  return made;
}

TenantSeries::PerTenant& TenantSeries::of(std::string_view tenant) {
  if (tenant.empty()) return unknown_;
  PerTenant* found = tenants_.find_or_make({{tenant}, 0}, [&] { return make(tenant); });
  return found == nullptr ? others_ : *found;
}

void TenantSeries::ended(const VisitReport& report) {
  PerTenant& counted = of(report.tenant == nullptr ? "" : report.tenant->name);
  const auto status_class = static_cast<size_t>(std::clamp(report.status / 100, 0, 5));
  counted.requests[status_class]->add();
  counted.prompt_tokens->add(report.prompt_tokens.value_or(0));
  counted.completion_tokens->add(report.completion_tokens.value_or(0));
  counted.cached_tokens->add(report.cached_tokens.value_or(0));
  counted.counted_tokens->add(report.counted_tokens);
  if (Counter* refused = counted.refusals[static_cast<size_t>(report.refusal)]) refused->add();
}

void TenantSeries::read(bool used) {
  registry_
      .counter("kvasir_gateway_keys_reads_total",
               "The file of keys was read again, by what came of it.",
               {{"result", used ? "used" : "refused"}})
      .add();
}

void TenantSeries::add_in_flight(const TenantTable& tenants, MetricRegistry& page) {
  size_t shown = 0;
  uint64_t others = 0;
  const auto gauge = [&page](std::string_view tenant) -> Gauge& {
    return page.gauge("kvasir_gateway_tenant_requests_in_flight",
                      "Requests of a tenant that are being answered now.",
                      {{"tenant", std::string(tenant)}});
  };
  for (const auto& tenant : tenants.tenants()) {
    const uint32_t in_flight = tenant->use->in_flight.load(std::memory_order_relaxed);
    if (shown++ < kTenantsMost) {
      gauge(tenant->name).set(in_flight);
    } else {
      others += in_flight;
    }
  }
  if (shown > kTenantsMost) gauge(kOtherLabel).set(static_cast<double>(others));
}

}  // namespace kvasir
