// The tenants and their keys as one file says, ready to be asked. Immutable: every thread has the
// one in use, and gets the next.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tenants/key_digest.h"
#include "tenants/keys_file.h"
#include "tenants/tenant.h"

namespace kvasir {

class TenantTable {
 public:
  // `former`: what each tenant of the same name used goes on; null: there is none.
  TenantTable(std::vector<TenantEntry> entries, const TenantTable* former);

  // Null: no tenant has that key, or it expired. How long that takes depends on the digest's first
  // bytes at most, of which nobody can conclude on a key.
  std::shared_ptr<const Tenant> find(const KeyDigest& digest, WallSeconds now) const;

  // In the file's order.
  const std::vector<std::shared_ptr<const Tenant>>& tenants() const { return tenants_; }
  // Those that have expired by then.
  size_t expired_keys(WallSeconds now) const;
  size_t keys() const { return keys_.size(); }

 private:
  struct Key {
    KeyDigest digest;
    std::optional<WallSeconds> expires;
    uint32_t tenant = 0;  // in tenants_
  };
  static constexpr uint32_t kNoKey = UINT32_MAX;

  size_t first_slot(const KeyDigest& digest) const;
  void insert(uint32_t key);

  std::vector<std::shared_ptr<const Tenant>> tenants_;
  std::vector<Key> keys_;
  std::vector<uint32_t> slots_;  // of keys_, open addressing; at most half of them are taken
};

// The table of a file's text, or "FILE:LINE: ..." for each problem.
Result<std::shared_ptr<const TenantTable>> load_tenants(std::string_view file,
                                                        std::string_view text,
                                                        const TenantTable* former = nullptr);

// Who asks, on one thread.
class TenantLookup {
 public:
  explicit TenantLookup(std::shared_ptr<const TenantTable> table) : table_(std::move(table)) {}

  void set_table(std::shared_ptr<const TenantTable> table) { table_ = std::move(table); }
  // Null: as TenantTable::find(). `key`: as it was sent; empty: none was, which takes as long.
  std::shared_ptr<const Tenant> find(std::string_view key, WallSeconds now) {
    return table_->find(hasher_.digest(key), now);
  }

 private:
  std::shared_ptr<const TenantTable> table_;
  KeyHasher hasher_;
};

}  // namespace kvasir
