// Answers that filters of routes, and flags, change on their way.
#include "base/text.h"
#include "gateway/routed_requests_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty, ::testing::Not;
using Act = FakeWorker::Act;

class FilteredExchangeTest : public RoutedRequestsTest {
 protected:
  static std::vector<std::string> all(const Answer& answer, std::string_view name) {
    std::vector<std::string> values;
    for (size_t i = 0; i < answer.head.field_count(); ++i) {
      const HttpHead::Field field = answer.head.field(i);
      if (equal_ignoring_case(field.name, name)) values.emplace_back(field.value);
    }
    return values;
  }

  Answer ask(const std::string& origin, const std::string& target = "/x",
             const std::string& method = "PUT") {
    return call("OPTIONS " + target + " HTTP/1.1\r\nHost: g\r\nOrigin: " + origin +
                "\r\nAccess-Control-Request-Method: " + method +
                "\r\nAccess-Control-Request-Headers: authorization, x-1\r\n\r\n");
  }
};

constexpr const char* kChanging = R"(
  - matches: [{path: {value: /web}}]
    filters:
    - type: ResponseHeaderModifier
      responseHeaderModifier:
        set: [{name: X-Set, value: rule}, {name: Content-Type, value: text/changed}]
        add: [{name: x-add, value: rule}]
        remove: [X-Gone, x-kvasir-route]
    backendRefs:
    - name: web
      port: 80
      filters:
      - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: backend}], add: [{name: x-add, value: backend}]}}
  - matches: [{path: {value: /v1}}]
    filters:
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: X-Set, value: rule}], remove: [x-selected-pod]}
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
  - matches: [{path: {value: /broken}}]
    filters:
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: rule}]}}
    backendRefs: [{name: nobody, port: 80}]
  - matches: [{path: {value: /away}}]
    filters:
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-set, value: rule}]}}
    - {type: RequestRedirect, requestRedirect: {scheme: https}}
)";

TEST_F(FilteredExchangeTest, AServicesAnswersAreChangedHoweverTheyAreFramed) {
  start();
  route(kChanging);
  web_.more_fields = "X-Set: old\r\nx-set: older\r\nX-Add: old\r\nX-Gone: 1\r\n";
  for (const Act act : {Act::kAnswer, Act::kStream, Act::kNoLength}) {
    web_.script = {act};
    const Answer answer = get("/web");
    EXPECT_EQ(answer.head.status(), 200);
    EXPECT_FALSE(answer.failure);
    EXPECT_THAT(all(answer, "x-set"), ElementsAre("rule")) << "the rule's wins";
    EXPECT_THAT(all(answer, "content-type"), ElementsAre("text/changed"));
    EXPECT_THAT(all(answer, "x-gone"), IsEmpty());
    EXPECT_EQ(answer.field("x-kvasir-route"), "") << "fields of the gateway can be taken out, too";
    EXPECT_NE(answer.field("x-request-id"), "");
    std::vector<std::string> added = all(answer, "x-add");
    if (act == Act::kAnswer) {
      EXPECT_THAT(added, ElementsAre("old", "backend", "rule"));
      EXPECT_EQ(answer.body, "web");
    }
  }
  EXPECT_EQ(get("/web").body, "web") << "its connection is used again";
}

TEST_F(FilteredExchangeTest, APoolsAnswersAreChangedToo) {
  start();
  route(kChanging);
  for (const Act act : {Act::kAnswer, Act::kStream}) {
    a_.script = b_.script = {act};
    const Answer answer = post("/v1/completions");
    EXPECT_EQ(answer.head.status(), 200);
    EXPECT_EQ(answer.field("x-set"), "rule");
    EXPECT_EQ(answer.field("x-selected-pod"), "");
  }
  EXPECT_EQ(probe_.finished.size(), 2u);
}

TEST_F(FilteredExchangeTest, AnswersOfTheGatewayItselfAreChangedAsWell) {
  start();
  route(kChanging);
  const Answer broken = get("/broken");
  EXPECT_EQ(broken.head.status(), 500);
  EXPECT_EQ(broken.field("x-set"), "rule");
  const Answer away = get("/away");
  EXPECT_EQ(away.head.status(), 302);
  EXPECT_EQ(away.field("x-set"), "rule");
  web_.close();
  const Answer refused = get("/web");
  EXPECT_EQ(refused.head.status(), 503);
  EXPECT_THAT(all(refused, "x-set"), ElementsAre("rule"));
  EXPECT_THAT(all(refused, "x-add"), ElementsAre("backend", "rule"));
}

TEST_F(FilteredExchangeTest, AClientThatLeavesTakesTheBackendsRequestWithIt) {
  start();
  route(kChanging);
  web_.usually = Act::kHang;
  auto answer = std::make_unique<Answer>(*loop_);
  const std::string head = "GET /web HTTP/1.1\r\nHost: g\r\n\r\n";
  answer->call = &client_->start(head, "", *answer);
  run_until([&] { return web_.heads.size() == 1; });
  answer->call->cancel();
  run_until([&] { return web_.clients_gone == 1; });
}

TEST_F(FilteredExchangeTest, AnAnswerThatIsCutIsCutForTheClient) {
  start();
  route(kChanging);
  web_.script = {Act::kCutMidStream};
  const Answer answer = get("/web");
  EXPECT_EQ(answer.field("x-set"), "rule");
  EXPECT_TRUE(answer.failure) << "its end is missing";
}

TEST_F(FilteredExchangeTest, FieldsOfTheConnectionCannotBeSet) {
  start();
  route(R"(
  - filters:
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: content-length, value: "3"}]}}
    backendRefs: [{name: web, port: 80}]
)");
  const Answer answer = get("/x");
  EXPECT_EQ(answer.head.status(), 500);
  EXPECT_THAT(answer.body, HasSubstr("no filter changes the field content-length"));
}

constexpr const char* kLimited = R"(
  - matches: [{path: {value: /web}}]
    timeouts: {request: 20ms}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /v1}}]
    timeouts: {request: 20ms}
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
  - matches: [{path: {value: /unlimited}}]
    timeouts: {request: 0s}
    backendRefs: [{name: web, port: 80}]
)";

TEST_F(FilteredExchangeTest, WhatTakesLongerThanTheRuleAllowsIsAnsweredWith504) {
  start();
  route(kLimited);
  web_.usually = Act::kHang;
  const Answer service = get("/web");
  EXPECT_EQ(service.head.status(), 504);
  EXPECT_THAT(service.body, HasSubstr("request timeout is over"));
  run_until([&] { return web_.clients_gone == 1; });
  a_.usually = b_.usually = Act::kHang;
  const Answer pool = post("/v1/completions");
  EXPECT_EQ(pool.head.status(), 504);
  run_until([&] { return a_.clients_gone + b_.clients_gone == 1; });
  ASSERT_EQ(probe_.finished.size(), 1u);
  EXPECT_EQ(probe_.finished[0].status, 504);
  EXPECT_EQ(probe_.in_flight, 0);
  web_.usually = Act::kAnswer;
  EXPECT_EQ(get("/web").body, "web") << "the connection goes on";
  EXPECT_EQ(get("/unlimited").body, "web");
}

TEST_F(FilteredExchangeTest, AStreamThatTakesLongerIsCut) {
  start();
  route(kLimited);
  web_.pieces = a_.pieces = b_.pieces = {"data: 1\n\n"};
  web_.usually = a_.usually = b_.usually = Act::kOpenStream;
  for (const bool is_pool : {false, true}) {
    const Answer answer = is_pool ? post("/v1/completions") : get("/web");
    EXPECT_EQ(answer.head.status(), 200);
    EXPECT_EQ(answer.body, "data: 1\n\n");
    EXPECT_TRUE(answer.failure);
  }
  run_until([&] { return web_.clients_gone + a_.clients_gone + b_.clients_gone == 2; });
}

constexpr const char* kCors = R"(
  - matches: [{path: {value: /web}}]
    filters:
    - {type: CORS, cors: {allowOrigins: ["https://*.a.test"], allowMethods: [PUT], allowHeaders: ["*"], maxAge: 60}}
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /v1}}]
    filters:
    - {type: CORS, cors: {allowOrigins: ["*"]}}
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: pool}]
  - matches: [{path: {value: /plain}}]
    backendRefs: [{name: web, port: 80}]
)";

TEST_F(FilteredExchangeTest, PreflightRequestsAreAnsweredHere) {
  start();
  route(kCors);
  const Answer allowed = ask("https://b.a.test", "/web");
  EXPECT_EQ(allowed.head.status(), 204);
  EXPECT_EQ(allowed.field("access-control-allow-origin"), "https://b.a.test");
  EXPECT_EQ(allowed.field("access-control-allow-methods"), "PUT");
  EXPECT_EQ(allowed.field("access-control-allow-headers"), "authorization, x-1");
  EXPECT_EQ(allowed.field("access-control-max-age"), "60");
  const Answer refused = ask("https://b.test", "/web");
  EXPECT_EQ(refused.head.status(), 403);
  EXPECT_EQ(refused.field("access-control-allow-origin"), "");
  EXPECT_THAT(web_.heads, IsEmpty());
  EXPECT_EQ(ask("https://b.test", "/plain").body, "web") << "no filter speaks for that one";
}

TEST_F(FilteredExchangeTest, AnswersAreReadByPagesOfTheFiltersOrigins) {
  start();
  route(kCors);
  web_.more_fields = "Access-Control-Allow-Origin: *\r\n";
  const Answer allowed = get("/web", "Origin: https://b.a.test\r\n");
  EXPECT_THAT(all(allowed, "access-control-allow-origin"), ElementsAre("https://b.a.test"));
  EXPECT_THAT(allowed.field("access-control-expose-headers"), HasSubstr("x-kvasir-route"));
  EXPECT_EQ(allowed.field("vary"), "Origin");
  EXPECT_EQ(web_.heads.back().find("origin"), "https://b.a.test") << "the backend hears of it";
  const Answer other = get("/web", "Origin: https://b.test\r\n");
  EXPECT_EQ(other.body, "web");
  EXPECT_THAT(all(other, "access-control-allow-origin"), IsEmpty());
  const Answer pool = post("/v1/completions", "Origin: https://b.test\r\n");
  EXPECT_EQ(pool.field("access-control-allow-origin"), "*");
  EXPECT_EQ(get("/plain", "Origin: https://b.test\r\n").field("access-control-allow-origin"), "*")
      << "that is the backend's own";
}

TEST_F(FilteredExchangeTest, FlagsSpeakForRequestsWithoutAFilterOfTheirOwn) {
  options_.cors_origins = {"https://flag.test"};
  start();
  route(kCors);
  const Answer asked = ask("https://flag.test", "/plain", "DELETE");
  EXPECT_EQ(asked.head.status(), 204);
  EXPECT_EQ(asked.field("access-control-allow-methods"), "DELETE");
  EXPECT_EQ(get("/plain", "Origin: https://flag.test\r\n").field("access-control-allow-origin"),
            "https://flag.test");
  EXPECT_EQ(get("/web", "Origin: https://flag.test\r\n").field("access-control-allow-origin"), "");
  EXPECT_EQ(get("/none", "Origin: https://flag.test\r\n").field("access-control-allow-origin"),
            "https://flag.test")
      << "an error that no page can read helps nobody";
}

TEST_F(FilteredExchangeTest, FlagsAreEnoughForABrowser) {
  options_.cors_origins = {"https://a.test", "http://localhost:3000"};
  options_.listener_port = 0;
  start();
  const Answer asked = ask("http://localhost:3000", "/v1/completions", "POST");
  EXPECT_EQ(asked.head.status(), 204);
  EXPECT_EQ(asked.field("access-control-allow-headers"), "authorization, x-1");
  EXPECT_EQ(asked.field("access-control-max-age"), "600");
  EXPECT_EQ(ask("https://b.test", "/v1/completions").head.status(), 403);
  EXPECT_THAT(a_.heads, IsEmpty());
  a_.script = b_.script = {Act::kStream};
  const Answer answer = post("/v1/completions", "Origin: https://a.test\r\n");
  EXPECT_THAT(answer.body, HasSubstr("[DONE]"));
  EXPECT_EQ(answer.field("access-control-allow-origin"), "https://a.test");
  EXPECT_THAT(answer.field("access-control-expose-headers"), HasSubstr("x-selected-pod"));
  EXPECT_EQ(post("/v1/completions", "Origin: https://b.test\r\n").head.status(), 200);
  EXPECT_THAT(call("GET /metrics HTTP/1.1\r\nHost: g\r\nOrigin: https://a.test\r\n\r\n")
                  .field("access-control-allow-origin"),
              "")
      << "the gateway's own pages are not for other pages";
}

}  // namespace
}  // namespace kvasir
