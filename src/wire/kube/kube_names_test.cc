#include "wire/kube/kube_names.h"

#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

TEST(KubeNames, DnsNames) {
  const struct {
    std::string name;
    bool subdomain;
    bool label;
  } cases[] = {
      {"a", true, true},
      {"a-b", true, true},
      {"0", true, true},
      {"a.b-c.d", true, false},
      {"", false, false},
      {".", false, false},
      {"a.", false, false},
      {".a", false, false},
      {"a..b", false, false},
      {"-a", false, false},
      {"a-", false, false},
      {"a-.b", false, false},
      {"a.-b", false, false},
      {"A", false, false},
      {"a_b", false, false},
      {std::string(63, 'a'), true, true},
      {std::string(64, 'a'), true, false},
      {std::string(253, 'a'), true, false},
      {std::string(254, 'a'), false, false},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(is_dns_subdomain(test.name), test.subdomain) << test.name;
    EXPECT_EQ(is_dns_label(test.name), test.label) << test.name;
  }
}

TEST(KubeNames, Labels) {
  for (const char* key : {"app", "A", "llm-d.ai/role", "a_b.c-d", "x/1"}) {
    EXPECT_TRUE(is_label_key(key)) << key;
  }
  for (const char* key : {"", "/", "a/", "/a", "A/b", "a/b/c", "-a", "a-", "a b", "a b/c"}) {
    EXPECT_FALSE(is_label_key(key)) << key;
  }
  EXPECT_TRUE(is_label_value(""));
  EXPECT_TRUE(is_label_value("A.b-c_D"));
  EXPECT_TRUE(is_label_value(std::string(63, 'a')));
  EXPECT_FALSE(is_label_value(std::string(64, 'a')));
  EXPECT_FALSE(is_label_value("_a"));
  EXPECT_FALSE(is_label_value("a/b"));
}

TEST(KubeNames, Addresses) {
  for (const char* text : {"10.0.0.1", "::1", "fd00::1:2"})
    EXPECT_TRUE(is_ip_address(text)) << text;
  for (const char* text : {"", "10.0.0", "10.0.0.256", "x", "[::1]", "10.0.0.1 ", "::1%lo"}) {
    EXPECT_FALSE(is_ip_address(text)) << text;
  }
  EXPECT_FALSE(is_ip_address(std::string_view("1.2.3.4\0x", 9)));
}

TEST(KubeNames, Times) {
  const struct {
    const char* text;
    std::optional<int64_t> seconds;
  } cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"2026-01-31T08:00:00Z", 1769846400},
      {"2026-01-31T08:00:00.999999Z", 1769846400},
      {"2026-01-31T09:30:00+01:30", 1769846400},
      {"2026-01-31T07:00:00-01:00", 1769846400},
      {"2024-02-29T00:00:00Z", 1709164800},
      {"1969-12-31T23:59:59Z", -1},
      {"2025-02-29T00:00:00Z", std::nullopt},
      {"2026-13-01T00:00:00Z", std::nullopt},
      {"2026-01-31T24:00:00Z", std::nullopt},
      {"2026-01-31T08:60:00Z", std::nullopt},
      {"2026-01-31T08:00:00", std::nullopt},
      {"2026-01-31T08:00:00.Z", std::nullopt},
      {"2026-01-31T08:00:00+1:00", std::nullopt},
      {"2026-01-31T08:00:00+01:00x", std::nullopt},
      {"2026-01-31 08:00:00Z", std::nullopt},
      {"", std::nullopt},
      {"2026", std::nullopt},
  };
  for (const auto& test : cases) EXPECT_EQ(rfc3339_seconds(test.text), test.seconds) << test.text;
}

}  // namespace
}  // namespace kvasir
