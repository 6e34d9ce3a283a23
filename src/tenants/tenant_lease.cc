#include "tenants/tenant_lease.h"

#include <utility>

namespace kvasir {
namespace {

// Nobody knows when one of the requests under way ends.
constexpr Duration kConcurrencyRetry = std::chrono::seconds(1);

}  // namespace

std::variant<TenantLease, LimitReached> TenantLease::take(std::shared_ptr<const Tenant> tenant,
                                                          uint64_t tokens, TimePoint now) {
  const TenantLimits& limits = tenant->limits;
  TenantUse& use = *tenant->use;
  // Counted first, so that two requests cannot both be the last one that fits.
  const uint32_t others = use.in_flight.fetch_add(1, std::memory_order_relaxed);
  LimitReached reached;
  if (limits.concurrency && others >= *limits.concurrency) {
    reached = {TenantLimit::kConcurrency, kConcurrencyRetry};
  } else if (const auto late = limits.requests_per_minute
                                   ? use.requests.take(*limits.requests_per_minute, 1, now)
                                   : std::nullopt) {
    reached = {TenantLimit::kRequests, *late};
  } else if (const auto late_tokens = limits.tokens_per_minute
                                          ? use.tokens.take(*limits.tokens_per_minute, tokens, now)
                                          : std::nullopt) {
    if (limits.requests_per_minute) use.requests.give_back(*limits.requests_per_minute, 1);
    reached = {TenantLimit::kTokens, *late_tokens};
  } else {
    return TenantLease(std::move(tenant), tokens);
  }
  use.in_flight.fetch_sub(1, std::memory_order_relaxed);
  return reached;
}

TenantLease::~TenantLease() {
  if (tenant_ != nullptr) tenant_->use->in_flight.fetch_sub(1, std::memory_order_relaxed);
}

void TenantLease::end(uint64_t tokens, TimePoint now) {
  const std::shared_ptr<const Tenant> tenant = std::move(tenant_);
  if (tenant == nullptr) return;
  TenantUse& use = *tenant->use;
  use.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (!tenant->limits.tokens_per_minute) return;
  const uint64_t limit = *tenant->limits.tokens_per_minute;
  if (tokens < reserved_) use.tokens.give_back(limit, reserved_ - tokens);
  if (tokens > reserved_) use.tokens.take_anyway(limit, tokens - reserved_, now);
}

std::string limit_time_text(Duration duration) {
  const int64_t all = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  if (all < 1000) return std::to_string(all) + (all == 0 ? "s" : "ms");
  std::string text;
  const int64_t hours = all / 3'600'000;
  const int64_t minutes = all / 60'000 % 60;
  if (hours > 0) text.append(std::to_string(hours)).append("h");
  if (hours > 0 || minutes > 0) text.append(std::to_string(minutes)).append("m");
  text.append(std::to_string(all / 1000 % 60));
  if (int64_t rest = all % 1000; rest > 0) {
    std::string digits = std::to_string(1000 + rest);
    digits[0] = '.';
    digits.erase(digits.find_last_not_of('0') + 1);
    text.append(digits);
  }
  return text.append("s");
}

void append_limit_fields(const Tenant& tenant, TimePoint now, std::string& fields) {
  const auto append_all = [&](std::string_view what, uint64_t limit, const MinuteBucket& bucket) {
    const MinuteBucket::Level level = bucket.level(limit, now);
    const std::pair<std::string_view, std::string> values[] = {
        {"limit", std::to_string(limit)},
        {"remaining", std::to_string(level.remaining)},
        {"reset", limit_time_text(level.until_full)}};
    for (const auto& [name, value] : values) {
      fields.append("x-ratelimit-").append(name).append("-").append(what).append(": ");
      fields.append(value).append("\r\n");
    }
  };
  const TenantLimits& limits = tenant.limits;
  if (limits.requests_per_minute) {
    append_all("requests", *limits.requests_per_minute, tenant.use->requests);
  }
  if (limits.tokens_per_minute) append_all("tokens", *limits.tokens_per_minute, tenant.use->tokens);
}

}  // namespace kvasir
