#include "routes/cors.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

CorsPolicy policy_of(std::vector<std::string> origins) {
  HTTPRoute::Cors cors;
  cors.origins = std::move(origins);
  return CorsPolicy(cors);
}

HttpHead preflight(const std::string& origin, const std::string& method = "PUT",
                   const std::string& headers = "") {
  HttpHead head;
  head.set_request_line("OPTIONS", "/", 1);
  head.add_field("Origin", origin);
  head.add_field("Access-Control-Request-Method", method);
  if (!headers.empty()) head.add_field("Access-Control-Request-Headers", headers);
  return head;
}

TEST(Cors, OriginsAreComparedByTheirParts) {
  struct Case {
    const char* pattern;
    const char* origin;
    bool allowed;
  };
  const Case cases[] = {
      {"*", "https://a.test", true},
      {"*", "null", true},
      {"https://a.test", "https://a.test", true},
      {"https://A.test", "https://a.test", true},
      {"https://a.test", "http://a.test", false},
      {"https://a.test", "https://a.test:443", true},
      {"https://a.test:443", "https://a.test", true},
      {"http://a.test:80", "http://a.test", true},
      {"https://a.test", "https://a.test:8443", false},
      {"https://a.test", "https://b.a.test", false},
      {"https://a.test", "https://a.test.evil", false},
      {"https://*.a.test", "https://b.a.test", true},
      {"https://*.a.test", "https://c.b.a.test", true},
      {"https://*.a.test", "https://a.test", false},
      {"https://*.a.test", "https://.a.test", false},
      {"https://*.a.test", "https://xa.test", false},
      {"https://*.a.test", "https://b.a.test:8443", false},
      {"https://*.a.test:8443", "https://b.a.test:8443", true},
      {"https://*", "https://any.where", true},
      {"https://*", "http://any.where", false},
      {"http://*:3000", "http://localhost:3000", true},
      {"https://a.test", "null", false},
      {"https://a.test", "", false},
      {"https://a.test", "https://a.test:99999", false},
      {"https://*.a.test", "https://*.a.test", false},
      {"http://*", "http://[::1]", true},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(policy_of({one.pattern}).allows(one.origin), one.allowed)
        << one.pattern << " " << one.origin;
  }
  EXPECT_TRUE(policy_of({"https://a.test", "https://b.test"}).allows("https://b.test"));
  EXPECT_FALSE(policy_of({}).allows("https://b.test"));
}

TEST(Cors, OnlyOptionsThatAskForAMethodArePreflightRequests) {
  EXPECT_TRUE(is_preflight(preflight("https://a.test")));
  HttpHead head;
  head.set_request_line("OPTIONS", "/", 1);
  head.add_field("Origin", "https://a.test");
  EXPECT_FALSE(is_preflight(head));
  head.set_request_line("GET", "/", 1);
  head.add_field("Access-Control-Request-Method", "PUT");
  EXPECT_FALSE(is_preflight(head));
}

constexpr std::string_view kVary =
    "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n";

TEST(Cors, APreflightRequestIsToldWhatTheFilterSays) {
  HTTPRoute::Cors cors;
  cors.origins = {"https://a.test"};
  cors.methods = {"GET", "OPTIONS"};
  cors.headers = {"x-1", "x-2"};
  cors.exposed = {"x-3", "x-4"};
  cors.credentials = true;
  cors.max_age_seconds = 3600;
  EXPECT_EQ(CorsPolicy(cors).preflight_fields(preflight("https://a.test", "GET", "x-1")),
            "Access-Control-Allow-Origin: https://a.test\r\n"
            "Access-Control-Allow-Credentials: true\r\n"
            "Access-Control-Allow-Methods: GET, OPTIONS\r\n"
            "Access-Control-Allow-Headers: x-1, x-2\r\n"
            "Access-Control-Expose-Headers: x-3, x-4\r\n"
            "Access-Control-Max-Age: 3600\r\n" +
                std::string(kVary));
}

TEST(Cors, WhatIsNotSaidIsNotAllowedBeyondWhatBrowsersDoAnyway) {
  EXPECT_EQ(policy_of({"*"}).preflight_fields(preflight("https://a.test", "PUT", "x-1")),
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: 5\r\n" + std::string(kVary));
}

TEST(Cors, AnyMethodAndAnyFieldAreNamedAsTheyWereAskedFor) {
  HTTPRoute::Cors cors;
  cors.origins = cors.methods = cors.headers = cors.exposed = {"*"};
  for (const bool credentials : {false, true}) {
    cors.credentials = credentials;
    const std::string fields = CorsPolicy(cors).preflight_fields(
        preflight("https://a.test", "PUT", "authorization, content-type"));
    EXPECT_NE(fields.find("Access-Control-Allow-Methods: PUT\r\n"), fields.npos);
    EXPECT_NE(fields.find("Access-Control-Allow-Headers: authorization, content-type\r\n"),
              fields.npos);
    EXPECT_EQ(fields.find("Access-Control-Expose-Headers"), fields.npos);
    const std::string origin = credentials ? "https://a.test" : "*";
    EXPECT_NE(fields.find("Access-Control-Allow-Origin: " + origin + "\r\n"), fields.npos);
  }
  const std::string odd = CorsPolicy(cors).preflight_fields(preflight("https://a.test", "P\"T"));
  EXPECT_EQ(odd.find("Allow-Methods"), odd.npos) << "what is no name is not repeated";
  EXPECT_EQ(odd.find("Allow-Headers"), odd.npos) << "nothing was asked for";
}

TEST(Cors, AnAnswerSaysWhoMayReadItAndWhatTheBackendSaysOfThatGoes) {
  HTTPRoute::Cors cors;
  cors.origins = {"https://a.test"};
  cors.exposed = {"x-1"};
  const CorsPolicy policy(cors);
  const std::string fields =
      "Content-Type: a/b\r\naccess-control-allow-origin: *\r\nAccess-Control-Max-Age: 1\r\n";
  EXPECT_EQ(policy.answer_fields("https://a.test", fields),
            "Content-Type: a/b\r\nAccess-Control-Expose-Headers: x-1\r\n"
            "Access-Control-Allow-Origin: https://a.test\r\nVary: Origin\r\n");
  for (const char* other : {"https://b.test", ""}) {
    EXPECT_EQ(policy.answer_fields(other, fields), "Content-Type: a/b\r\nVary: Origin\r\n")
        << "'" << other << "'";
  }
}

TEST(Cors, AnswersExposeTheGatewaysOwnFieldsUnlessTheFilterSaysWhich) {
  HTTPRoute::Cors cors;
  cors.origins = {"*"};
  EXPECT_NE(CorsPolicy(cors).answer_fields("https://a.test", "").find("x-request-id"),
            std::string::npos);
  cors.exposed = {"*"};
  EXPECT_EQ(CorsPolicy(cors).answer_fields("https://a.test", "X-A: 1\r\n"),
            "X-A: 1\r\nAccess-Control-Expose-Headers: *\r\nAccess-Control-Allow-Origin: *\r\n");
  cors.credentials = true;
  EXPECT_EQ(CorsPolicy(cors).answer_fields("https://a.test", "X-A: 1\r\nB: 2\r\nx-a: 3\r\n"),
            "X-A: 1\r\nB: 2\r\nx-a: 3\r\nAccess-Control-Expose-Headers: x-a, b\r\n"
            "Access-Control-Allow-Origin: https://a.test\r\n"
            "Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n");
}

}  // namespace
}  // namespace kvasir
