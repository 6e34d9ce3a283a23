#include "tenants/tenant_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

namespace kvasir {

TenantTable::TenantTable(std::vector<TenantEntry> entries, const TenantTable* former) {
  std::map<std::string_view, std::shared_ptr<TenantUse>> known;
  if (former != nullptr) {
    for (const auto& tenant : former->tenants_) known.emplace(tenant->name, tenant->use);
  }
  for (TenantEntry& entry : entries) {
    const auto use = known.find(entry.tenant.name);
    entry.tenant.use = use == known.end() ? std::make_shared<TenantUse>() : use->second;
    for (const TenantKey& key : entry.keys) {
      keys_.push_back({key.digest, key.expires, static_cast<uint32_t>(tenants_.size())});
    }
    tenants_.push_back(std::make_shared<const Tenant>(std::move(entry.tenant)));
  }
  slots_.assign(std::bit_ceil(2 * keys_.size() + 2), kNoKey);
  for (uint32_t key = 0; key < keys_.size(); ++key) insert(key);
}

size_t TenantTable::first_slot(const KeyDigest& digest) const {
  uint64_t head = 0;
  std::memcpy(&head, digest.data(), sizeof head);
  return static_cast<size_t>(head) & (slots_.size() - 1);
}

void TenantTable::insert(uint32_t key) {
  size_t slot = first_slot(keys_[key].digest);
  while (slots_[slot] != kNoKey) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = key;
}

std::shared_ptr<const Tenant> TenantTable::find(const KeyDigest& digest, WallSeconds now) const {
  for (size_t slot = first_slot(digest); slots_[slot] != kNoKey;
       slot = (slot + 1) & (slots_.size() - 1)) {
    const Key& key = keys_[slots_[slot]];
    if (!equal_in_constant_time(key.digest, digest)) continue;
    if (key.expires && now >= *key.expires) return nullptr;
    return tenants_[key.tenant];
  }
  return nullptr;
}

size_t TenantTable::expired_keys(WallSeconds now) const {
  return static_cast<size_t>(std::count_if(keys_.begin(), keys_.end(), [now](const Key& key) {
    return key.expires && now >= *key.expires;
  }));
}

Result<std::shared_ptr<const TenantTable>> load_tenants(std::string_view file,
                                                        std::string_view text,
                                                        const TenantTable* former) {
  auto read = read_keys_file(text);
  if (const auto* problems = std::get_if<std::vector<Remark>>(&read)) {
    return Error{to_string(file, *problems)};
  }
  auto& entries = std::get<std::vector<TenantEntry>>(read);
  return std::shared_ptr<const TenantTable>(
      std::make_shared<const TenantTable>(std::move(entries), former));
}

}  // namespace kvasir
