// The kinds of the Gateway API: what is read, the API's defaults, and every way in which a field
// can be wrong.
#include <gtest/gtest.h>

#include "wire/kube/kube_gateway_objects.h"
#include "wire/kube/kube_reader.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string gateway_json(std::string_view kind, const std::string& spec) {
  const std::string version = kind == "ReferenceGrant" ? "v1beta1" : "v1";
  return R"({"apiVersion":"gateway.networking.k8s.io/)" + version + R"(","kind":")" +
         std::string(kind) + R"(","metadata":{"name":"a","namespace":"ns"},"spec":)" + spec + "}";
}

template <class T>
std::shared_ptr<const T> read_gateway_kind(const std::string& spec) {
  KubeReader reader;
  const auto object = reader.read_object(gateway_json(to_string(T::kKind), spec));
  EXPECT_TRUE(object.ok()) << object.error().message;
  return object.ok() ? std::static_pointer_cast<const T>(*object) : nullptr;
}

std::string rule_json(const std::string& rule) {
  return R"({"parentRefs":[{"name":"gw"}],"rules":[)" + rule + "]}";
}

TEST(GatewayReader, AListenerHasTheDefaultsOfTheApi) {
  const auto gateway = read_gateway_kind<KubeGateway>(
      R"({"gatewayClassName":"kvasir","listeners":[{"name":"http","port":80,"protocol":"HTTP"}]})");
  ASSERT_NE(gateway, nullptr);
  EXPECT_EQ(gateway->class_name, "kvasir");
  const KubeGateway::Listener& listener = gateway->listeners.at(0);
  EXPECT_EQ(listener.port, 80);
  EXPECT_EQ(listener.hostname, "");
  EXPECT_EQ(listener.from, KubeGateway::Listener::From::kSame);
  EXPECT_TRUE(listener.route_kinds.empty());
  EXPECT_FALSE(listener.has_tls);
}

TEST(GatewayReader, AListenerSaysWhoMayAttachAndWhichCertificateItHas) {
  const auto gateway = read_gateway_kind<KubeGateway>(
      R"({"gatewayClassName":"kvasir","listeners":[{"name":"https","port":443,"protocol":"HTTPS",
          "hostname":"*.example.com","tls":{"certificateRefs":[{"name":"cert","namespace":"certs"}]},
          "allowedRoutes":{"kinds":[{"kind":"HTTPRoute"}],"namespaces":{"from":"Selector","selector":
            {"matchLabels":{"team":"a"},"matchExpressions":[{"key":"tier","operator":"NotIn","values":["test"]}]}}}}]})");
  ASSERT_NE(gateway, nullptr);
  const KubeGateway::Listener& listener = gateway->listeners.at(0);
  EXPECT_EQ(listener.hostname, "*.example.com");
  EXPECT_EQ(listener.certificates.at(0), (ObjectRef{"", "Secret", "certs", "cert"}));
  EXPECT_EQ(listener.route_kinds.at(0).group, kGatewayGroup);
  EXPECT_TRUE(listener.namespaces.selects({{"team", "a"}}));
  EXPECT_FALSE(listener.namespaces.selects({{"team", "a"}, {"tier", "test"}}));
  EXPECT_FALSE(listener.namespaces.selects({{"team", "b"}}));
}

TEST(HTTPRouteReader, WithoutRulesAndMatchesEverythingMatches) {
  const auto bare = read_gateway_kind<HTTPRoute>(R"({"parentRefs":[{"name":"gw"}]})");
  ASSERT_NE(bare, nullptr);
  EXPECT_EQ(bare->rules.at(0).matches.at(0).path, "/");
  const auto route =
      read_gateway_kind<HTTPRoute>(rule_json(R"({"backendRefs":[{"name":"web","port":80}]})"));
  ASSERT_NE(route, nullptr);
  EXPECT_EQ(route->parents.at(0).to, (ObjectRef{std::string(kGatewayGroup), "Gateway", "", "gw"}));
  const HTTPRoute::Rule& rule = route->rules.at(0);
  EXPECT_EQ(rule.matches.at(0).path_kind, HTTPRoute::PathKind::kPrefix);
  EXPECT_EQ(rule.backends.at(0).ref.to, (ObjectRef{"", "Service", "", "web"}));
  EXPECT_EQ(rule.backends.at(0).weight, 1);
}

TEST(HTTPRouteReader, AllOfARuleIsRead) {
  const auto route = read_gateway_kind<HTTPRoute>(rule_json(
      R"({"name":"chat","matches":[{"path":{"type":"Exact","value":"/v1"},"method":"POST",
          "headers":[{"name":"X-A","value":"1"}],"queryParams":[{"name":"q","type":"RegularExpression","value":"a+"}]}],
        "filters":[{"type":"RequestHeaderModifier","requestHeaderModifier":{"set":[{"name":"a","value":"b"}],
            "add":[{"name":"c","value":"d"}],"remove":["e"]}},
          {"type":"ResponseHeaderModifier","responseHeaderModifier":{"remove":["server"]}},
          {"type":"URLRewrite","urlRewrite":{"hostname":"inner.test","path":{"type":"ReplaceFullPath","replaceFullPath":"/x"}}},
          {"type":"RequestMirror","requestMirror":{"backendRef":{"name":"m","port":81},"fraction":{"numerator":1,"denominator":3}}},
          {"type":"CORS","cors":{"allowOrigins":["https://a.test"],"allowCredentials":true,"allowMethods":["GET"],"maxAge":60}},
          {"type":"ExtensionRef","extensionRef":{"group":"gateway.envoyproxy.io","kind":"EnvoyExtensionPolicy","name":"p"}},
          {"type":"Unheard"}],
        "backendRefs":[{"name":"web","port":80,"weight":0,"filters":[{"type":"RequestHeaderModifier",
            "requestHeaderModifier":{"set":[{"name":"x","value":"y"}]}}]}],
        "timeouts":{"request":"1m30s","backendRequest":"500ms"},
        "retry":{"codes":[503],"attempts":2,"backoff":"100ms"}})"));
  ASSERT_NE(route, nullptr);
  const HTTPRoute::Rule& rule = route->rules.at(0);
  EXPECT_EQ(rule.matches.at(0).method, "POST");
  EXPECT_EQ(rule.matches.at(0).headers.at(0).name, "X-A");
  EXPECT_TRUE(rule.matches.at(0).query.at(0).regex);
  const HTTPRoute::Filters& filters = rule.filters;
  EXPECT_EQ(filters.request_headers->remove, std::vector<std::string>{"e"});
  EXPECT_EQ(filters.response_headers->remove, std::vector<std::string>{"server"});
  EXPECT_EQ(filters.rewrite->hostname, "inner.test");
  EXPECT_EQ(filters.rewrite->path->value, "/x");
  EXPECT_EQ(filters.mirrors.at(0).denominator, 3);
  EXPECT_EQ(filters.cors->max_age_seconds, 60);
  EXPECT_EQ(filters.extensions.at(0).kind, "EnvoyExtensionPolicy");
  EXPECT_EQ(filters.unknown, std::vector<std::string>{"Unheard"});
  EXPECT_EQ(rule.backends.at(0).weight, 0);
  EXPECT_EQ(rule.backends.at(0).filters.request_headers->set.at(0).value, "y");
  EXPECT_EQ(rule.request_timeout, seconds(90));
  EXPECT_EQ(rule.backend_timeout, milliseconds(500));
  EXPECT_EQ(rule.retry->attempts, 2);
}

TEST(ReferenceGrantReader, BothVersionsAreRead) {
  const auto grant = read_gateway_kind<ReferenceGrant>(
      R"({"from":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute","namespace":"apps"}],
          "to":[{"group":"","kind":"Service","name":"web"},{"group":"","kind":"Secret"}]})");
  ASSERT_NE(grant, nullptr);
  EXPECT_EQ(grant->from.at(0).name_space, "apps");
  EXPECT_EQ(grant->to.at(0).name, "web");
  EXPECT_EQ(grant->to.at(1).name, "");
}

TEST(GatewayDuration, IsWrittenAsGep2257HasIt) {
  EXPECT_EQ(gateway_duration("1h30m"), std::chrono::minutes(90));
  EXPECT_EQ(gateway_duration("10ms"), milliseconds(10));
  EXPECT_EQ(gateway_duration("0s"), Duration::zero());
  for (const char* bad :
       {"", "1", "s", "-1s", "1.5s", "1d", "100000s", "1s1s1s1s1s", "1 s", "1us"}) {
    EXPECT_EQ(gateway_duration(bad), std::nullopt) << bad;
  }
}

TEST(CorsOrigin, IsWrittenAsTheApiHasIt) {
  for (const char* good :
       {"*", "https://a.test", "http://localhost:3000", "https://*.a.test", "https://*",
        "http://*:8080", "https://A-1.test:65535", "http://10.0.0.1"}) {
    EXPECT_TRUE(is_cors_origin(good)) << good;
  }
  for (const char* bad :
       {"", "a.test", "ftp://a.test", "https://", "https://a.test/", "https://a..test",
        "https://a.*.test", "https://*a.test", "https://a.test:", "https://a.test:0",
        "https://a.test:65536", "https://a_b.test", "https://a.test:80:80", "null", "**",
        "https://*.", "https://[::1]", "HTTPS://a.test", "https://a.test,https://b.test"}) {
    EXPECT_FALSE(is_cors_origin(bad)) << bad;
  }
}

struct Refused {
  const char* kind;
  const char* spec;
  const char* problem;
};

constexpr Refused kRefused[] = {
    {"Gateway", "{}", "spec.gatewayClassName: missing"},
    {"Gateway", R"({"gatewayClassName":"c","listeners":[]})",
     "spec.listeners: must have a listener"},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"A","port":80,"protocol":"HTTP"}]})",
     "spec.listeners[0].name: must be lower case"},
    {"Gateway", R"({"gatewayClassName":"c","listeners":[{"name":"a","port":0,"protocol":"HTTP"}]})",
     "spec.listeners[0].port: "},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"a","port":80,"protocol":"HTTP","hostname":"10.0.0.1"}]})",
     "spec.listeners[0].hostname: must be a lower case host name"},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"a","port":80,"protocol":"HTTP"},{"name":"a","port":81,"protocol":"HTTP"}]})",
     "spec.listeners: two listeners are named 'a'"},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"a","port":443,"protocol":"HTTPS","tls":{"mode":"Passthrough"}}]})",
     "spec.listeners[0].tls.mode: must be Terminate with protocol HTTPS"},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"a","port":80,"protocol":"HTTP","allowedRoutes":{"namespaces":{"from":"Some"}}}]})",
     "namespaces.from: must be one of Same, All, Selector, None"},
    {"Gateway",
     R"({"gatewayClassName":"c","listeners":[{"name":"a","port":80,"protocol":"HTTP","allowedRoutes":{"namespaces":{"from":"Selector"}}}]})",
     "namespaces.selector: missing"},
    {"HTTPRoute", R"({"hostnames":["UPPER.test"]})", "spec.hostnames[0]: must be a lower case"},
    {"HTTPRoute", R"({"hostnames":["a.*.test"]})", "spec.hostnames[0]: must be a lower case"},
    {"HTTPRoute", R"({"rules":[]})", "spec.rules: must have a rule"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"v1"}}]}]})",
     "value: must begin with '/'"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a//b"}}]}]})", "must not hold '//'"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a/../b"}}]}]})",
     "must not hold '/../'"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a%2Fb"}}]}]})",
     "must not hold '%2F'"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a/.."}}]}]})", "must not end with"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a b"}}]}]})", "percent-encoded"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"value":"/a%2"}}]}]})", "percent-encoded"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"path":{"type":"Glob","value":"/a"}}]}]})",
     "path.type: must be one of PathPrefix, Exact, RegularExpression"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"method":"get"}]}]})", "method: must be a method"},
    {"HTTPRoute", R"({"rules":[{"matches":[{"headers":[{"name":"a b","value":"1"}]}]}]})",
     "headers[0].name: must be a name of a header field"},
    {"HTTPRoute", R"({"rules":[{"backendRefs":[{"name":"a"}]}]})",
     "port: missing: a Service needs one"},
    {"HTTPRoute", R"({"rules":[{"backendRefs":[{"name":"a","port":80,"weight":-1}]}]})",
     "weight: "},
    {"HTTPRoute", R"({"rules":[{"filters":[{"type":"RequestRedirect"}]}]})",
     "requestRedirect: missing"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"RequestRedirect","requestRedirect":{"statusCode":304}}]}]})",
     "statusCode: must be 301, 302, 303, 307 or 308"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"RequestRedirect","requestRedirect":{}}],"backendRefs":[{"name":"a","port":80}]}]})",
     "must have RequestRedirect or backendRefs, not both"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"RequestRedirect","requestRedirect":{}},{"type":"URLRewrite","urlRewrite":{}}]}]})",
     "must have RequestRedirect or URLRewrite, not both"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"URLRewrite","urlRewrite":{}},{"type":"URLRewrite","urlRewrite":{}}]}]})",
     "filters[1]: there is another one of this type"},
    {"HTTPRoute",
     R"({"rules":[{"matches":[{"path":{"type":"Exact","value":"/a"}}],"filters":[{"type":"URLRewrite","urlRewrite":
         {"path":{"type":"ReplacePrefixMatch","replacePrefixMatch":"/b"}}}]}]})",
     "replacePrefixMatch needs exactly one match, of type PathPrefix"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"URLRewrite","urlRewrite":{"path":{"type":"ReplaceFullPath","replacePrefixMatch":"/b"}}}]}]})",
     "replaceFullPath: missing"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"RequestMirror","requestMirror":{"backendRef":{"name":"m","port":80},"percent":1,"fraction":{"numerator":1}}}]}]})",
     "must have percent or fraction, not both"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"RequestHeaderModifier","requestHeaderModifier":{"set":[{"name":"a","value":"b\nc"}]}}]}]})",
     "value: has a control character"},
    {"HTTPRoute",
     R"({"rules":[{"filters":[{"type":"CORS","cors":{"allowOrigins":["*","https://a.test"]}}]}]})",
     "allowOrigins: must not hold others beside '*'"},
    {"HTTPRoute", R"({"rules":[{"timeouts":{"request":"1 minute"}}]})",
     "request: must be a duration"},
    {"HTTPRoute", R"({"rules":[{"timeouts":{"request":"1s","backendRequest":"2s"}}]})",
     "backendRequest: must not be longer than request"},
    {"ReferenceGrant", R"({"from":[{"kind":"HTTPRoute"}],"to":[{"kind":"Service"}]})",
     "spec.from[0].namespace: missing"},
    {"ReferenceGrant", R"({"from":[]})", "spec.to: missing"},
};

TEST(GatewayReader, WhatTheApiServerWouldRefuseIsAProblem) {
  for (const Refused& test : kRefused) {
    KubeReader reader;
    const auto object = reader.read_object(gateway_json(test.kind, test.spec));
    ASSERT_FALSE(object.ok()) << test.spec;
    EXPECT_NE(object.error().message.find(test.problem), std::string::npos)
        << test.spec << "\n"
        << object.error().message;
  }
}

}  // namespace
}  // namespace kvasir
