#include "wire/kube/exec_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kVersion[] = "client.authentication.k8s.io/v1";

std::string credential(const std::string& status) {
  return std::string(R"({"kind":"ExecCredential","apiVersion":")") + kVersion +
         R"(","spec":{"interactive":false},"status":)" + status + "}\n";
}

TEST(ExecAnswer, TokenCertificateAndTimeAreRead) {
  const auto answer = read_exec_answer(
      credential(R"({"token":"t","expirationTimestamp":"2026-01-31T08:00:01Z","more":1,)"
                 R"("clientCertificateData":"c","clientKeyData":"k"})"),
      kVersion);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->token, "t");
  EXPECT_EQ(answer->certificate_pem, "c");
  EXPECT_EQ(answer->key_pem, "k");
  EXPECT_EQ(answer->expires_seconds, 1769846401);
  EXPECT_FALSE(
      read_exec_answer(credential(R"({"token":"t"})"), kVersion)->expires_seconds.has_value());
}

TEST(ExecAnswer, WhatIsWrongIsSaidWithoutTheToken) {
  const struct {
    std::string json;
    const char* expected;
  } cases[] = {
      {"", "is not a JSON object"},
      {"hush", "is not a JSON object"},
      {"[]", "is not a JSON object"},
      {R"({"kind":"Status"})", "is not of kind ExecCredential"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"})",
       "is not of the apiVersion that was asked for, client.authentication.k8s.io/v1"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"})",
       "has no status"},
      {credential("null"), "has no status"},
      {credential("{}"), "has neither status.token nor"},
      {credential(R"({"token":["hush"]})"), "has a status.token that is not a text"},
      {credential(R"({"token":"hush","clientKeyData":"k"})"), "has only one of"},
      {credential(R"({"token":"hush","expirationTimestamp":"soon"})"), "is not a time"},
  };
  for (const auto& test : cases) {
    const auto answer = read_exec_answer(test.json, kVersion);
    ASSERT_FALSE(answer.ok()) << test.json;
    EXPECT_THAT(answer.error().message, AllOf(HasSubstr(test.expected), Not(HasSubstr("hush"))));
  }
}

}  // namespace
}  // namespace kvasir
