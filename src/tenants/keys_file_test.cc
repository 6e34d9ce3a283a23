#include "tenants/keys_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

// Of "test" and "hello".
constexpr const char* kTest =
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
constexpr const char* kHello =
    "sha256:2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";

std::vector<TenantEntry> read_good(const std::string& text) {
  auto read = read_keys_file(text);
  if (const auto* problems = std::get_if<std::vector<Remark>>(&read)) {
    ADD_FAILURE() << to_string("keys.yaml", *problems);
    return {};
  }
  return std::move(std::get<std::vector<TenantEntry>>(read));
}

std::string problems_of(const std::string& text) {
  const auto read = read_keys_file(text);
  const auto* problems = std::get_if<std::vector<Remark>>(&read);
  return problems == nullptr ? "none" : to_string("keys.yaml", *problems);
}

WallSeconds at(int64_t seconds) {
  return WallSeconds(std::chrono::seconds(seconds));
}

TEST(KeysFile, EveryFieldIsRead) {
  const auto tenants = read_good(std::string("- name: research\n"
                                             "  keys:\n"
                                             "  - ") +
                                 kTest +
                                 "\n"
                                 "  - {hash: '" +
                                 kHello +
                                 "', expires: 2027-01-31}\n"
                                 "  requests-per-minute: 600\n"
                                 "  tokens-per-minute: 200000\n"
                                 "  concurrency: 32\n"
                                 "  priority: -3\n"
                                 "  fairness-id: group-7\n"
                                 "  models: [llama-*, qwen3]\n"
                                 "  expires: 2027-12-31T00:00:00Z\n");
  ASSERT_EQ(tenants.size(), 1u);
  const Tenant& tenant = tenants[0].tenant;
  EXPECT_EQ(tenant.name, "research");
  EXPECT_EQ(tenant.limits.requests_per_minute, 600u);
  EXPECT_EQ(tenant.limits.tokens_per_minute, 200'000u);
  EXPECT_EQ(tenant.limits.concurrency, 32u);
  EXPECT_EQ(tenant.priority, -3);
  EXPECT_EQ(tenant.fairness_id, "group-7");
  EXPECT_THAT(tenant.models, ::testing::ElementsAre("llama-*", "qwen3"));
  ASSERT_EQ(tenants[0].keys.size(), 2u);
  EXPECT_EQ(tenants[0].keys[0].digest, KeyHasher().digest("test"));
  EXPECT_EQ(tenants[0].keys[0].expires, at(1'830'211'200));  // the tenant's
  EXPECT_EQ(tenants[0].keys[1].digest, KeyHasher().digest("hello"));
  EXPECT_EQ(tenants[0].keys[1].expires, at(1'801'353'600));  // its own, which is earlier
  EXPECT_EQ(tenants[0].keys[1].line, 4);
}

TEST(KeysFile, WhatIsAbsentIsNoLimit) {
  const auto tenants = read_good(std::string("- {name: a, keys: [") + kTest + "], concurrency: }");
  ASSERT_EQ(tenants.size(), 1u);
  EXPECT_FALSE(tenants[0].tenant.limits.any());
  EXPECT_EQ(tenants[0].tenant.priority, std::nullopt);
  EXPECT_EQ(tenants[0].tenant.fairness_id, "a");
  EXPECT_EQ(tenants[0].keys[0].expires, std::nullopt);
}

TEST(KeysFile, EveryProblemIsToldWithItsLine) {
  const std::string key = kTest;
  const struct {
    std::string text;
    const char* problems;
  } cases[] = {
      {"", "keys.yaml: a list of tenants is expected, each beginning with \"- name:\""},
      {"[]", "keys.yaml:1: there is no tenant"},
      {"tenants: []",
       "keys.yaml:1: a list of tenants is expected, each beginning with \"- name:\""},
      {"- 5", "keys.yaml:1: a tenant must be a map, not a number"},
      {"- name: a\n  keys: [" + key + "]\n  tokens-per-minut: 5",
       "keys.yaml:3: tenant a: unknown key 'tokens-per-minut'; did you mean 'tokens-per-minute'?"},
      {"- name: a\n  keys: [" + key + "]\n  concurrency: 0\n  priority: high",
       "keys.yaml:3: tenant a: concurrency must be from 1 to 1000000000\n"
       "keys.yaml:4: tenant a: priority must be a whole number, not a text"},
      {"- keys: [" + key + "]", "keys.yaml:1: tenant: name is missing"},
      {"- name: a b\n  keys: [" + key + "]",
       "keys.yaml:1: tenant: name must be 1 to 128 letters, digits or any of ._-/@:+"},
      {"- name: a\n",
       "keys.yaml:1: tenant a: keys must be a list of hashes: kvasir keys new makes "
       "a key and its hash"},
      {"- name: a\n  keys: [" + key + "]\n- name: a\n  keys: [" + kHello + "]",
       "keys.yaml:3: tenant a: name is that of line 1, too: one tenant can have several keys"},
      {"- name: a\n  keys: [" + key + "]\n- name: b\n  keys:\n  - " + key,
       "keys.yaml:5: tenant b: key is that of line 2, too"},
      {"- name: a\n  keys: [" + key + "]\n  expires: tomorrow",
       "keys.yaml:3: tenant a: expires must be a day as 2027-01-31 or a time as "
       "2027-01-31T12:00:00Z"},
      {"- name: a\n  keys:\n  - {hash: '" + key + "', expires: 7}",
       "keys.yaml:3: tenant a: key: expires must be a day as 2027-01-31 or a time as "
       "2027-01-31T12:00:00Z"},
      {"- name: a\n  keys: [" + key + "]\n  models: []",
       "keys.yaml:3: tenant a: models is empty: leave it out to allow every model"},
      {"- name: a\n  name: b", "keys.yaml:2: "},
  };
  for (const auto& test : cases) {
    EXPECT_THAT(problems_of(test.text), ::testing::StartsWith(test.problems)) << test.text;
  }
}

// Whoever writes a key where its hash belongs does not read it again in a log.
TEST(KeysFile, APlainKeyIsRefusedAndNotRepeated) {
  const std::string secret = "sk-kvasir-verysecret";
  for (const std::string& written :
       {secret, "{hash: " + secret + "}", "{" + secret + ": 1}", "{key: " + secret + "}",
        "[" + secret + "]", "sha256:" + secret, std::string("sha256:12ab")}) {
    const std::string problems = problems_of("- name: a\n  keys:\n  - " + written + "\n");
    EXPECT_THAT(problems, ::testing::StartsWith("keys.yaml:3: tenant a: key ")) << written;
    EXPECT_THAT(problems, ::testing::Not(::testing::HasSubstr(secret))) << written;
  }
}

TEST(KeysFile, ADayEndsAKeyWhenItBegins) {
  EXPECT_EQ(parse_expiry("2027-01-31"), at(1'801'353'600));
  EXPECT_EQ(parse_expiry("2027-01-31T01:00:00+01:00"), at(1'801'353'600));
  for (const char* wrong : {"", "2027", "2027-02-30", "31.1.2027", "2027-01-31T", "never"}) {
    EXPECT_EQ(parse_expiry(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace kvasir
