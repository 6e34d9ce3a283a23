// The file of API keys: a list of tenants as YAML, read strictly.
//
//   - name: research
//     keys:
//     - sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//     - {hash: sha256:60303ae2..., expires: 2027-01-31}
//     requests-per-minute: 600
//     tokens-per-minute: 200000
//     concurrency: 32
//     priority: 10
//     fairness-id: research          # the name when absent
//     models: [llama-*, qwen3]       # every model when absent
//     expires: 2027-12-31T00:00:00Z  # of all its keys
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/remark.h"
#include "tenants/key_digest.h"
#include "tenants/tenant.h"

namespace kvasir {

inline constexpr size_t kKeysFileBytesMost = 8 * 1024 * 1024;
inline constexpr size_t kTenantsMost = 10'000;
inline constexpr size_t kKeysMost = 50'000;  // of all tenants

using WallSeconds = std::chrono::sys_seconds;

struct TenantKey {
  KeyDigest digest;
  std::optional<WallSeconds> expires = {};  // from then on it is like one that nobody knows
  int line = 0;
};

struct TenantEntry {
  Tenant tenant;
  std::vector<TenantKey> keys;
  int line = 0;
};

// Every problem with its line; none of them says what was written where a hash belongs, for it may
// be a key.
std::variant<std::vector<TenantEntry>, std::vector<Remark>> read_keys_file(std::string_view text);

// "2027-01-31" (until that day begins, UTC) or RFC 3339.
std::optional<WallSeconds> parse_expiry(std::string_view text);
// What a tenant, or a fairness id, may be called: it stands in headers and metrics.
bool is_tenant_name(std::string_view name);

// One a line: "keys.yaml:12: text".
std::string to_string(std::string_view file, const std::vector<Remark>& problems);

}  // namespace kvasir
