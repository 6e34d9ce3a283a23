// What `kvasir keys` prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tenants/tenant_table.h"

namespace kvasir {

// One tenant of a file of keys, as it is written there.
struct KeysEntryText {
  std::string name;
  std::string hash;
  std::optional<int64_t> requests_per_minute, tokens_per_minute, concurrency, priority;
  std::string fairness_id;  // empty: left out
  std::vector<std::string> models;
  std::string expires;
};

std::string keys_entry_text(const KeysEntryText& entry);

// A line for each tenant: keys, limits, models.
std::string keys_table_text(const TenantTable& table, WallSeconds now);

}  // namespace kvasir
