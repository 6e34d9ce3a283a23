// What `kvasir routes` and `kvasir routes test` print.
#include "apps/routes_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr;

constexpr const char* kObjects = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: llm}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ab, namespace: llm}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{path: {value: /v1}, headers: [{name: x-kv-backend, value: fs}]}]
    backendRefs: [{name: fs-proxy, namespace: vllm, port: 8080}]
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: new.test}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: pool, namespace: llm}
spec:
  parentRefs: [{name: gw}]
  rules: [{backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]}]
---
{apiVersion: v1, kind: Service, metadata: {name: fs-proxy, namespace: vllm}, spec: {ports: [{port: 8080}]}}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool, namespace: llm}
spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}]}
)";

class RoutesText : public ::testing::Test {
 protected:
  RoutesText() {
    ObjectStore store;
    const auto objects = read_manifest(kObjects);
    EXPECT_TRUE(objects.ok());
    for (const ManifestObject& object : objects.value()) {
      store.put(object.object->type->as, object.object);
    }
    routes_ = effective_routes(store, [](const KubeGateway&) { return true; });
  }

  std::string answer(const std::string& method, const std::string& url,
                     const std::vector<std::string>& headers = {}) {
    const Result<AskedRequest> asked = asked_request(method, url, headers);
    EXPECT_TRUE(asked.ok()) << asked.error().message;
    return asked.ok() ? routes_answer_text(routes_, asked.value()) : "";
  }

  EffectiveRoutes routes_;
};

constexpr const char* kNotGranted =
    "HTTPRoute llm/ab at Gateway llm/gw: ResolvedRefs False RefNotPermitted: no ReferenceGrant in "
    "namespace vllm lets HTTPRoutes of namespace llm use Service vllm/fs-proxy";

TEST_F(RoutesText, TheTableHasMatchesInOrderAndWhatDoesNotHold) {
  const std::string text = routes_text(routes_);
  const size_t first = text.find("PathPrefix /old");
  const size_t second = text.find("PathPrefix /v1, x-kv-backend: fs");
  const size_t third = text.find("InferencePool llm/pool");
  EXPECT_LT(first, second) << text;
  EXPECT_LT(second, third) << text;
  EXPECT_THAT(text, HasSubstr("listener http of Gateway llm/gw, port 80, HTTP, any host"));
  EXPECT_THAT(text, HasSubstr("Gateway llm/gw listener http, 2 routes: Accepted, Programmed, ResolvedRefs"));
  EXPECT_THAT(broken_conditions(routes_), ElementsAre(kNotGranted));
}

TEST_F(RoutesText, ARequestIsToldItsRuleAndWhy) {
  const std::string text = answer("POST", "http://x/v1/completions", {"x-kv-backend: fs"});
  EXPECT_THAT(text, HasSubstr("matches HTTPRoute llm/ab rule 0: PathPrefix /v1, x-kv-backend: fs"));
  EXPECT_THAT(text, HasSubstr("before HTTPRoute llm/pool rule 0: its path is longer (/v1 against /)"));
  EXPECT_THAT(text, HasSubstr("goes to 500 (no ReferenceGrant"));
  EXPECT_THAT(answer("GET", "http://x/old?q=1"), HasSubstr("answers 302, Location: http://new.test/old?q=1"));
  EXPECT_THAT(answer("GET", "http://x:81/"), HasSubstr("there is no listener of HTTP at port 81; there are 80 (http)"));
}

TEST_F(RoutesText, WhatIsNoRequestIsRefused) {
  const auto refused = [](const std::string& url, const std::vector<std::string>& headers = {}) {
    const Result<AskedRequest> asked = asked_request("GET", url, headers);
    return asked.ok() ? std::string() : asked.error().message;
  };
  EXPECT_THAT(refused("x/v1"), HasSubstr("must begin with http://"));
  EXPECT_THAT(refused("http:///v1"), HasSubstr("is no HOST[:PORT]"));
  EXPECT_THAT(refused("http://x:99999/"), HasSubstr("is no port"));
  EXPECT_THAT(refused("http://x/%zz"), HasSubstr("the path: "));
  EXPECT_THAT(refused("http://x/", {"no colon"}), HasSubstr("must be NAME: VALUE"));
}

}  // namespace
}  // namespace kvasir
