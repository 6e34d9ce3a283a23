// Who may come in: finds out by its key whose request it is, and refuses what that tenant may not
// do or has done too often. One for each thread. Private to gateway/.
//
// A request that goes on has neither the key nor what its client says of fairness any more: workers
// and other pickers are not told secrets, and a tenant cannot take another's turn.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "tenants/tenant_lease.h"
#include "tenants/tenant_table.h"
#include "wire/request/request_api.h"

namespace kvasir {

class HttpExchange;
class HttpHead;
class TokenEstimator;
class Visit;

class TenantGate {
 public:
  // `probe` and `options` must outlive it.
  TenantGate(std::shared_ptr<const TenantTable> table, const GatewayOptions& options,
             GatewayProbe& probe);

  void set_table(std::shared_ptr<const TenantTable> table) { lookup_.set_table(std::move(table)); }

  struct Refused {
    int status = 0;
    TenantRefusal why = TenantRefusal::kNone;
    std::string message;
    std::string fields = {};
  };
  // nullopt: it may come in; its head may have changed. `api`: what a POST asks an engine for;
  // nullopt: it is for none that is known.
  std::optional<Refused> check(Visit& visit, TimePoint now, std::optional<RequestApi> api,
                               const TokenEstimator& estimator);
  // Answers it. `exchange`: `visit`, or what wraps it; both are gone then.
  void refuse(Visit& visit, HttpExchange& exchange, const Refused& refused);

 private:
  Refused limit_reached(const Tenant& tenant, const LimitReached& reached) const;

  const GatewayOptions& options_;
  GatewayProbe& probe_;
  TenantLookup lookup_;
};

}  // namespace kvasir
