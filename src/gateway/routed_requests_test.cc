// Requests by the routes of Gateway API objects.
#include "gateway/routed_requests_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty,
    ::testing::UnorderedElementsAre;
using Act = FakeWorker::Act;

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
  EXPECT_EQ(get("/readyz").head.status(), 503);
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
  - {matches: [{path: {value: /unknown}}], filters: [{type: Unheard}], backendRefs: [{name: web, port: 80}]}
  - {matches: [{path: {value: /empty}}], backendRefs: [{name: empty, port: 80}]}
  - {matches: [{path: {value: /none}}]}
)",
      "{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {ports: [{port: 80}]}}\n---\n"
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: "
      "empty-1, labels: {kubernetes.io/service-name: empty}}, ports: [{port: 80}], endpoints: "
      "[]}\n---\n");
  EXPECT_THAT(get("/missing").body, HasSubstr("there is no Service default/nobody"));
  EXPECT_EQ(get("/missing").head.status(), 500);
  EXPECT_THAT(get("/unknown").body, HasSubstr("filter 'Unheard' is not known"));
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
