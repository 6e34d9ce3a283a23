// What one request of a tenant takes of its limits, from its start to its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "base/clock.h"
#include "tenants/tenant.h"

namespace kvasir {

enum class TenantLimit : uint8_t { kRequests, kTokens, kConcurrency };

// It would be more than the tenant may have. Nothing was taken.
struct LimitReached {
  TenantLimit limit = TenantLimit::kRequests;
  // When it is worth another try; Duration::max(): never, the request alone is larger than the
  // limit.
  Duration retry_after{};
};

class TenantLease {
 public:
  // A request whose prompt and longest answer have so many tokens (0: it is for no model).
  static std::variant<TenantLease, LimitReached> take(std::shared_ptr<const Tenant> tenant,
                                                      uint64_t tokens, TimePoint now);
  TenantLease(TenantLease&&) = default;
  TenantLease& operator=(TenantLease&&) = delete;
  ~TenantLease();  // as end() with what was reserved

  // It is over and used so many tokens: what was reserved beyond is given back, what was used
  // beyond later requests wait for. Later calls do nothing.
  void end(uint64_t tokens, TimePoint now);

 private:
  TenantLease(std::shared_ptr<const Tenant> tenant, uint64_t reserved)
      : tenant_(std::move(tenant)), reserved_(reserved) {}

  std::shared_ptr<const Tenant> tenant_;  // null: it ended, or was moved
  uint64_t reserved_;
};

// The fields by which OpenAI's API says how much is left: x-ratelimit-limit-requests,
// x-ratelimit-remaining-requests, x-ratelimit-reset-requests and the same of tokens, whole lines
// each; of limits that the tenant has.
// https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
void append_limit_fields(const Tenant& tenant, TimePoint now, std::string& fields);
// As they write it, Go's way: "12ms", "1s", "8.64s", "6m0s", "1h30m0s".
std::string limit_time_text(Duration duration);

}  // namespace kvasir
