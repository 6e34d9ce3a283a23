// What the gateway's page says of each tenant.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/visit_report.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"

namespace kvasir {

class TenantTable;

// Thread-safe.
class TenantSeries {
 public:
  // Tenants with series of their own, ever; those beyond share the name "other".
  static constexpr size_t kTenantsMost = 1000;

  // `registry` must outlive it.
  explicit TenantSeries(MetricRegistry& registry);

  void ended(const VisitReport& report);
  // The file of keys was read again.
  void read(bool used);
  // Appends what is in flight now to a page.
  static void add_in_flight(const TenantTable& tenants, MetricRegistry& page);

 private:
  static constexpr size_t kStatusClasses = 6;  // 0: none, 1xx, ..., 5xx

  struct PerTenant {
    std::array<Counter*, kStatusClasses> requests{};
    Counter* prompt_tokens = nullptr;
    Counter* completion_tokens = nullptr;
    Counter* cached_tokens = nullptr;
    Counter* counted_tokens = nullptr;
    std::array<Counter*, kTenantRefusals> refusals{};
  };

  PerTenant make(std::string_view tenant);
  PerTenant& of(std::string_view tenant);

  MetricRegistry& registry_;
  HandleTable<PerTenant> tenants_{kTenantsMost};
  PerTenant others_;
  PerTenant unknown_;  // who has no key, or a wrong one
};

}  // namespace kvasir
