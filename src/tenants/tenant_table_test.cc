#include "tenants/tenant_table.h"

#include <gtest/gtest.h>

#include <set>

namespace kvasir {
namespace {

WallSeconds day(int number) {
  return WallSeconds(std::chrono::hours(24 * number));
}

TenantEntry entry_of(std::string name, std::vector<std::string> keys) {
  KeyHasher hasher;
  TenantEntry entry;
  entry.tenant.name = std::move(name);
  for (const std::string& key : keys) entry.keys.push_back({hasher.digest(key)});
  return entry;
}

TEST(TenantTable, FindsATenantByAnyOfItsKeys) {
  TenantLookup lookup(std::make_shared<const TenantTable>(
      std::vector{entry_of("a", {"one", "two"}), entry_of("b", {"three"})}, nullptr));
  EXPECT_EQ(lookup.find("one", day(1))->name, "a");
  EXPECT_EQ(lookup.find("two", day(1))->name, "a");
  EXPECT_EQ(lookup.find("three", day(1))->name, "b");
  for (const char* wrong : {"", "One", "one ", "four"}) {
    EXPECT_EQ(lookup.find(wrong, day(1)), nullptr) << wrong;
  }
}

TEST(TenantTable, FindsEachOfManyKeys) {
  std::vector<TenantEntry> entries;
  for (int i = 0; i < 3000; ++i) {
    entries.push_back(entry_of(std::to_string(i), {"key" + std::to_string(i)}));
  }
  TenantLookup lookup(std::make_shared<const TenantTable>(std::move(entries), nullptr));
  for (int i = 0; i < 3000; ++i) {
    const auto found = lookup.find("key" + std::to_string(i), day(1));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->name, std::to_string(i));
    EXPECT_EQ(lookup.find("other" + std::to_string(i), day(1)), nullptr);
  }
}

TEST(TenantTable, AnExpiredKeyIsNoKey) {
  TenantEntry entry = entry_of("a", {"old", "new"});
  entry.keys[0].expires = day(10);
  const TenantTable table({entry}, nullptr);
  KeyHasher hasher;
  EXPECT_NE(table.find(hasher.digest("old"), day(10) - std::chrono::seconds(1)), nullptr);
  EXPECT_EQ(table.find(hasher.digest("old"), day(10)), nullptr);
  EXPECT_NE(table.find(hasher.digest("new"), day(10)), nullptr);
  EXPECT_EQ(table.expired_keys(day(9)), 0u);
  EXPECT_EQ(table.expired_keys(day(10)), 1u);
}

TEST(TenantTable, WhatATenantUsedOutlivesANewFile) {
  const TenantTable former({entry_of("a", {"one"}), entry_of("b", {"two"})}, nullptr);
  const TenantTable next({entry_of("b", {"three"}), entry_of("c", {"four"})}, &former);
  EXPECT_EQ(next.tenants()[0]->use, former.tenants()[1]->use);
  EXPECT_NE(next.tenants()[1]->use, former.tenants()[0]->use);
  EXPECT_EQ(next.find(KeyHasher().digest("two"), day(1)), nullptr);
}

TEST(KeyDigest, IsWhatSha256sumPrints) {
  KeyHasher hasher;
  const std::string text =
      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  EXPECT_EQ(to_string(hasher.digest("test")), text);
  EXPECT_EQ(parse_key_digest(text), hasher.digest("test"));
  EXPECT_EQ(to_string(hasher.digest("")),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::string wrong : {"", "sha256:", "md5:12", "sha256:9f86d0818", "9f86"}) {
    EXPECT_EQ(parse_key_digest(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_key_digest(text + "0"), std::nullopt);
  EXPECT_EQ(parse_key_digest(text.substr(0, text.size() - 1) + "g"), std::nullopt);
}

TEST(NewKey, IsLongAndNeverTheSame) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    const std::string key = new_key();
    EXPECT_EQ(key.size(), kKeyPrefix.size() + 43);
    EXPECT_TRUE(key.starts_with(kKeyPrefix));
    EXPECT_EQ(key.find_first_of("+/=\n "), std::string::npos);
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 100u);
}

TEST(Tenant, MayUseTheModelsOfItsPatterns) {
  const struct {
    std::vector<std::string> models;
    const char* model;
    bool may;
  } cases[] = {
      {{}, "anything", true},
      {{}, "", true},
      {{"llama-*", "qwen3"}, "llama-8b", true},
      {{"llama-*", "qwen3"}, "llama-", true},
      {{"llama-*", "qwen3"}, "qwen3", true},
      {{"llama-*", "qwen3"}, "qwen3-coder", false},
      {{"llama-*", "qwen3"}, "my-llama-8b", false},
      {{"*-lora"}, "a-lora-lora", true},
      {{"a*b*c"}, "aXbXbXc", true},
      {{"a*b*c"}, "aXbXb", false},
      {{"a**"}, "a", true},
      {{"*"}, "anything", true},
      {{"*"}, "", false},  // the engine would take a model of its own choice
  };
  for (const auto& test : cases) {
    Tenant tenant;
    tenant.models = test.models;
    EXPECT_EQ(tenant.may_use(test.model), test.may) << test.model;
  }
}

}  // namespace
}  // namespace kvasir
