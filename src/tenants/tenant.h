// Who uses the gateway by an API key, and what they may.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tenants/minute_bucket.h"

namespace kvasir {

// nullopt: as many as they like.
struct TenantLimits {
  std::optional<uint32_t> requests_per_minute = {};
  std::optional<uint64_t> tokens_per_minute = {};
  std::optional<uint32_t> concurrency = {};  // requests at one time

  bool any() const { return requests_per_minute || tokens_per_minute || concurrency; }
};

// What a tenant used of them. Shared by all threads; outlives a new reading of the file. Each has a
// cache line of its own.
struct alignas(64) TenantUse {
  MinuteBucket requests;
  MinuteBucket tokens;
  std::atomic<uint32_t> in_flight{0};
};

struct Tenant {
  std::string name;
  TenantLimits limits = {};
  // Of all its requests, whatever their objective says; nullopt: as their objective says.
  std::optional<int32_t> priority = {};
  std::string fairness_id = {};
  // '*' stands for any run of characters. Empty: every model.
  std::vector<std::string> models = {};
  std::shared_ptr<TenantUse> use = {};

  // A request that names no model names the empty one, which a list never has.
  bool may_use(std::string_view model) const;
};

}  // namespace kvasir
