#include "apps/keys_text.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

constexpr const char* kHash =
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

TEST(KeysText, AnEntryIsReadAsItWasMeant) {
  KeysEntryText entry;
  entry.name = "research";
  entry.hash = kHash;
  EXPECT_EQ(keys_entry_text(entry), std::string("- name: research\n  keys:\n  - ") + kHash + "\n");
  entry.name = "7";
  entry.requests_per_minute = 60;
  entry.tokens_per_minute = 1000;
  entry.concurrency = 3;
  entry.priority = -1;
  entry.fairness_id = "null";
  entry.models = {"*", "llama-*", "a\nb: c"};
  entry.expires = "2027-01-31";
  const auto read = load_tenants("keys", keys_entry_text(entry));
  ASSERT_TRUE(read.ok()) << read.error().message;
  const Tenant& tenant = *(*read)->tenants()[0];
  EXPECT_EQ(tenant.name, "7");
  EXPECT_EQ(tenant.limits.requests_per_minute, 60u);
  EXPECT_EQ(tenant.limits.tokens_per_minute, 1000u);
  EXPECT_EQ(tenant.limits.concurrency, 3u);
  EXPECT_EQ(tenant.priority, -1);
  EXPECT_EQ(tenant.fairness_id, "null");
  EXPECT_EQ(tenant.models, entry.models);
  EXPECT_EQ((*read)->expired_keys(*parse_expiry("2027-01-31")), 1u);
}

TEST(KeysText, ATableSaysWhatEachTenantMay) {
  const auto read = load_tenants(
      "keys",
      std::string("- {name: a, keys: [") + kHash +
          "], requests-per-minute: 60, tokens-per-minute: 1000, concurrency: 3, priority: 2, "
          "fairness-id: f, models: [x-*, y], expires: 2027-01-31}\n- {name: b, keys: "
          "['sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824']}\n");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(keys_table_text(**read, *parse_expiry("2027-01-31")),
            "a: 60 requests a minute, 1000 tokens a minute, 3 at one time, priority 2, fairness id "
            "f, models x-* y\n"
            "b: no limit, every model\n"
            "2 tenants, 2 keys, 1 of them expired\n");
}

}  // namespace
}  // namespace kvasir
