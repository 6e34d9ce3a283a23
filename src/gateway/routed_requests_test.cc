// Requests by the routes of Gateway API objects.
#include "gateway/gateway_fixture.h"
#include "kube/object_store.h"
#include "routes/route_feed.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty,
    ::testing::UnorderedElementsAre;
using Act = FakeWorker::Act;

constexpr const char* kGateway = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool}
spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}]}
---
)";

class RoutedRequestsTest : public GatewayTest {
 protected:
  RoutedRequestsTest() : web_(*loop_, "web"), other_(*loop_, "other") {
    options_.listener_port = 80;
  }

  // A Service whose members are these workers.
  static std::string service(const std::string& name,
                             const std::vector<const FakeWorker*>& workers) {
    std::string text = "{apiVersion: v1, kind: Service, metadata: {name: " + name +
                       "}, spec: {ports: [{port: 80}]}}\n---\n";
    for (const FakeWorker* worker : workers) {
      const std::string port = std::to_string(worker->port());
      text +=
          "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: "
          "{name: " +
          name + "-" + port + ", labels: {kubernetes.io/service-name: " + name +
          "}}, ports: [{port: " + port + "}], endpoints: [{addresses: [127.0.0.1]}]}\n---\n";
    }
    return text;
  }

  // `rules`: of the one route.
  void route(const std::string& rules, const std::string& more = "") {
    const std::string text =
        kGateway + service("web", {&web_}) + service("both", {&web_, &other_}) + more +
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
        "spec:\n  parentRefs: [{name: gw}]\n  rules:\n" +
        rules;
    auto objects = read_manifest(text);
    ASSERT_TRUE(objects.ok()) << objects.error().message;
    ObjectStore store;
    for (const ManifestObject& object : *objects) {
      ASSERT_NE(object.object, nullptr) << to_string(object.problems);
      store.put(object.object->type->as, object.object);
    }
    store.end_batch();
    RouteFeed feed(
        store, [](const KubeGateway&) { return true; }, [](auto) {});
    gateway_->set_routes(feed.current());
  }

  Answer get(const std::string& target, const std::string& fields = "",
             const std::string& host = "g") {
    return call("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
  }
  Answer post(const std::string& target, const std::string& fields = "") {
    const std::string body = R"({"prompt":"x"})";
    return call("POST " + target + " HTTP/1.1\r\nHost: g\r\n" + fields +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                body);
  }

  FakeWorker web_, other_;
};

constexpr const char* kAb = R"(
  - matches: [{path: {value: /v1}, headers: [{name: x-kv-backend, value: web}]}]
    backendRefs: [{name: web, port: 80}]
  - backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
)";

TEST_F(RoutedRequestsTest, AServicesRequestsGoThereAndAPoolsAreScheduled) {
  start();
  route(kAb);
  const Answer routed = post("/v1/completions", "x-kv-backend: web\r\nx-request-id: id-7\r\n");
  EXPECT_EQ(routed.body, "web");
  EXPECT_EQ(routed.field("x-kvasir-route"), "default/r");
  EXPECT_EQ(routed.field("x-request-id"), "id-7");
  EXPECT_EQ(web_.heads[0].find("host"), "g") << "the backend sees the client's host";
  EXPECT_EQ(post("/v1/completions").body, "a");
  EXPECT_EQ(get("/v1/models", "x-kv-backend: web\r\n").body, "web") << "any method";
  EXPECT_EQ(probe_.finished.size(), 1u) << "the pool hears of its own only";
}

TEST_F(RoutedRequestsTest, BeforeRoutesAreKnownNothingIsServed) {
  start();
  EXPECT_EQ(post("/v1/completions").head.status(), 503);
  EXPECT_EQ(get("/health").head.status(), 200) << "its own pages are its own";
  route(kAb);
  EXPECT_EQ(post("/v1/completions").head.status(), 200);
}

TEST_F(RoutedRequestsTest, WhatNoRuleMatchesIsNotFound) {
  start();
  route("  - {matches: [{path: {value: /v1}}], backendRefs: [{name: web, port: 80}]}\n");
  EXPECT_EQ(get("/v1/models").body, "web");
  const Answer none = get("/v2");
  EXPECT_EQ(none.head.status(), 404);
  EXPECT_THAT(none.body, HasSubstr("no route is for this"));
  EXPECT_EQ(get("/v1/../v2").head.status(), 404) << "another spelling is the same path";
}

TEST_F(RoutedRequestsTest, NewRoutesCountFromTheNextRequestOn) {
  start();
  route("  - {backendRefs: [{name: web, port: 80}]}\n");
  EXPECT_EQ(get("/v1/models").body, "web");
  route(
      "  - {backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: "
      "pool}]}\n");
  EXPECT_EQ(get("/v1/models").body, "a");
}

TEST_F(RoutedRequestsTest, MembersTakeTurnsAndOneThatCannotBeReachedIsPassedOver) {
  start();
  route("  - {backendRefs: [{name: both, port: 80}]}\n");
  std::vector<std::string> bodies;
  for (int i = 0; i < 4; ++i) bodies.push_back(get("/x").body);
  EXPECT_THAT((std::vector<std::string>{bodies[0], bodies[1]}),
              UnorderedElementsAre("web", "other"));
  EXPECT_THAT(bodies, ElementsAre(bodies[0], bodies[1], bodies[0], bodies[1]));
  other_.close();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/x").body, "web");
}

TEST_F(RoutedRequestsTest, WhatCannotBeCarriedOutIsRefusedAndNotSkipped) {
  start();
  route(
      R"(
  - {matches: [{path: {value: /missing}}], backendRefs: [{name: nobody, port: 80}]}
  - {matches: [{path: {value: /cors}}], filters: [{type: CORS, cors: {allowOrigins: ["*"]}}], backendRefs: [{name: web, port: 80}]}
  - {matches: [{path: {value: /empty}}], backendRefs: [{name: empty, port: 80}]}
  - {matches: [{path: {value: /none}}]}
)",
      "{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {ports: [{port: 80}]}}\n---\n"
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: "
      "empty-1, labels: {kubernetes.io/service-name: empty}}, ports: [{port: 80}], endpoints: "
      "[]}\n---\n");
  EXPECT_THAT(get("/missing").body, HasSubstr("there is no Service default/nobody"));
  EXPECT_EQ(get("/missing").head.status(), 500);
  EXPECT_THAT(get("/cors").body, HasSubstr("CORS is not carried out"));
  EXPECT_EQ(get("/empty").head.status(), 503);
  EXPECT_EQ(get("/none").head.status(), 500);
  EXPECT_THAT(web_.heads, IsEmpty());
}

TEST_F(RoutedRequestsTest, FiltersChangeTargetAndFields) {
  start();
  route(R"(
  - matches: [{path: {value: /llm}}]
    filters:
    - {type: URLRewrite, urlRewrite: {hostname: inner.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: new}], add: [{name: x-add, value: two}], remove: [x-gone]}}
    backendRefs:
    - {name: web, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-backend, value: web}]}}]}
  - matches: [{path: {value: /pool}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /v1/completions}}}]
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
)");
  get("/llm/models?q=1", "x-set: old\r\nx-set: older\r\nx-add: one\r\nX-Gone: 1\r\n");
  ASSERT_EQ(web_.heads.size(), 1u);
  const HttpHead& head = web_.heads[0];
  EXPECT_EQ(head.target(), "/v1/models?q=1");
  EXPECT_EQ(head.find("host"), "inner.test");
  EXPECT_EQ(head.find("x-gone"), std::nullopt);
  EXPECT_EQ(head.find("x-backend"), "web");
  std::vector<std::string> set, add;
  for (size_t i = 0; i < head.field_count(); ++i) {
    if (head.field(i).name == "X-Set" || head.field(i).name == "x-set")
      set.emplace_back(head.field(i).value);
    if (head.field(i).name == "x-add") add.emplace_back(head.field(i).value);
  }
  EXPECT_THAT(set, ElementsAre("new"));
  EXPECT_THAT(add, ElementsAre("one", "two"));
  EXPECT_EQ(post("/pool").body, "a");
  EXPECT_EQ(a_.heads.back().target(), "/v1/completions");
}

TEST_F(RoutedRequestsTest, ARedirectIsAnsweredHere) {
  start();
  route(
      "  - {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: "
      "301}}]}\n");
  const Answer answer = get("/v1/models?q=1", "", "llm.test:8080");
  EXPECT_EQ(answer.head.status(), 301);
  EXPECT_EQ(answer.field("location"), "https://llm.test/v1/models?q=1");
  EXPECT_THAT(web_.heads, IsEmpty());
}

TEST_F(RoutedRequestsTest, WeightsShareTheRequests) {
  start();
  route(
      "  - {backendRefs: [{name: web, port: 80, weight: 3}, {group: inference.networking.k8s.io, "
      "kind: InferencePool, name: pool, weight: 1}]}\n");
  size_t web = 0;
  for (int i = 0; i < 400; ++i) web += get("/v1/models").body == "web";
  EXPECT_GT(web, 250u);
  EXPECT_LT(web, 350u);
}

}  // namespace
}  // namespace kvasir
