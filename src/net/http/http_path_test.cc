#include "net/http/http_path.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(NormalTarget, SpellingsOfOnePathBecomeOne) {
  const struct {
    const char* target;
    const char* normal;
  } cases[] = {
      {"/v1/completions", "/v1/completions"},
      {"/v1/completions/", "/v1/completions/"},
      {"/v1/completions?x=%2f//..#no", "/v1/completions?x=%2f//.."},
      {"/%761/completions", "/v1/completions"},
      {"/v1/c%6Fmpletions", "/v1/completions"},
      {"//v1///completions", "/v1/completions"},
      {"/./v1/./completions", "/v1/completions"},
      {"/v1/x/../completions", "/v1/completions"},
      {"/v1/x/%2e%2E/completions", "/v1/completions"},
      {"/v1/x/..", "/v1/"},
      {"/v1/completions/.", "/v1/completions/"},
      {"/", "/"},
      {"//", "/"},
      {"/V1/Completions", "/V1/Completions"},
      {"/v1/models/a%3ab%c3%a4", "/v1/models/a%3Ab%C3%A4"},
      {"/v1/models/a%20b", "/v1/models/a%20b"},
      {"/v1/..;/completions", "/v1/..;/completions"},
      {"/v1/%2561", "/v1/%2561"},
      {"/health#x", "/health"},
      {"/?q", "/?q"},
      {"*", "*"},
  };
  for (const auto& each : cases) {
    const Result<NormalTarget> normal = normal_target(each.target);
    ASSERT_TRUE(normal) << each.target;
    EXPECT_EQ(normal->target, each.normal);
    EXPECT_EQ(normal->authority, "");
    EXPECT_FALSE(normal->encoded_slash);
    const std::string text = each.target;
    if (is_normal_target(text)) {
      EXPECT_EQ(text, each.normal);
    }
  }
}

TEST(NormalTarget, NormalFormIsNormal) {
  for (const char* target :
       {"/v1/completions", "/v1/chat/completions?a=b//c/../%", "/", "/a.b/c..d"}) {
    EXPECT_TRUE(is_normal_target(target)) << target;
    EXPECT_EQ(normal_target(target).value().target, target);
  }
  for (const char* target :
       {"", "*", "v1", "//v1", "/a/../b", "/%76", "/a\\b", "/a#b", "/a?b#c", "http://x/"}) {
    EXPECT_FALSE(is_normal_target(target)) << target;
  }
}

TEST(NormalTarget, AbsoluteFormGivesItsAuthority) {
  const struct {
    const char* target;
    const char* normal;
    const char* authority;
  } cases[] = {
      {"http://x/v1/completions", "/v1/completions", "x"},
      {"HTTP://x:80/%761", "/v1", "x:80"},
      {"https://[::1]:8000//a?b", "/a?b", "[::1]:8000"},
      {"http://x", "/", "x"},
      {"http://x?q=1", "/?q=1", "x"},
  };
  for (const auto& each : cases) {
    const Result<NormalTarget> normal = normal_target(each.target);
    ASSERT_TRUE(normal) << each.target;
    EXPECT_EQ(normal->target, each.normal);
    EXPECT_EQ(normal->authority, each.authority);
  }
}

TEST(NormalTarget, EncodedSlashIsToldOf) {
  const Result<NormalTarget> normal = normal_target("/v1%2fcompletions");
  ASSERT_TRUE(normal);
  EXPECT_EQ(normal->target, "/v1%2Fcompletions");
  EXPECT_TRUE(normal->encoded_slash);
}

TEST(NormalTarget, WhatCanBeReadInTwoWaysIsRefused) {
  for (const char* target : {"/v1/%",
                             "/v1/%4",
                             "/v1/%zz",
                             "/v1/%00",
                             "/v1/%0a",
                             "/v1/%7f",
                             "/v1\\completions",
                             "/v1%5ccompletions",
                             "/..",
                             "/a/../../b",
                             "/%2e%2e/a",
                             "",
                             "v1/completions",
                             "x:443",
                             "ftp://x/a",
                             "http://",
                             "http:///a",
                             "http://u@x/a",
                             "http://x:port/a",
                             "http://x:123456/",
                             "http://[::1/a",
                             "http://[::1]x/a",
                             "/a b",
                             "/a\tb",
                             "/\xc3\xa4"}) {
    EXPECT_FALSE(normal_target(target)) << target;
  }
}

}  // namespace
}  // namespace kvasir
