// Who may come in, how often, and what is told of it.
#include "gateway/gateway_fixture.h"
#include "tenants/tenant_table.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

constexpr const char* kKey = "sk-kvasir-of-the-first-tenant";
constexpr const char* kOtherKey = "sk-kvasir-of-the-second-tenant";

class VisitProbe final : public GatewayProbe {
 public:
  struct Told {
    std::string tenant, method, path, model, endpoint, request_id, route;
    int status = 0;
    TenantRefusal refusal{};
    VisitEnd end{};
    uint64_t request_bytes = 0, answer_bytes = 0, counted = 0;
    std::optional<uint64_t> prompt_tokens, completion_tokens;
  };

  void on_retry(const Endpoint&, RetryReason, std::string_view) override {}
  void on_health_changed(const Endpoint&, bool is_healthy) override {
    healthy += is_healthy ? 1 : -1;
  }
  void on_not_relayed(int status, std::string_view reason) override {
    refused.push_back(std::to_string(status) + " " + std::string(reason));
  }
  void on_visit_ended(const VisitReport& report) override {
    Told& told = visits.emplace_back();
    told.tenant = report.tenant == nullptr ? "" : report.tenant->name;
    told.method = report.method;
    told.path = report.path;
    told.model = report.model;
    told.endpoint = report.endpoint;
    told.request_id = report.request_id;
    told.route = report.route;
    told.status = report.status;
    told.refusal = report.refusal;
    told.end = report.end;
    told.request_bytes = report.request_bytes;
    told.answer_bytes = report.answer_bytes;
    told.counted = report.counted_tokens;
    told.prompt_tokens = report.prompt_tokens;
    told.completion_tokens = report.completion_tokens;
  }

  int healthy = 0;
  std::vector<std::string> refused;
  std::vector<Told> visits;
};

class GatewayTenantsTest : public GatewayTest {
 protected:
  GatewayTenantsTest() {
    options_.threads = 1;
    tenants_ = std::string("- name: first\n  keys: [") + to_string(KeyHasher().digest(kKey)) +
               "]\n- name: second\n  keys: [" + to_string(KeyHasher().digest(kOtherKey)) + "]\n";
  }

  ~GatewayTenantsTest() override {
    client_.reset();
    gateway_.reset();  // which tells the probe of what is under way
  }

  // `more`: lines of the first tenant.
  void serve(const std::string& more = "") {
    const size_t second = tenants_.find("- name: second");
    auto table = load_tenants("keys", tenants_.substr(0, second) + more + tenants_.substr(second));
    ASSERT_TRUE(table.ok()) << table.error().message;
    options_.tenants = *table;
    gateway_ =
        std::move(Gateway::create(*loop_, options_, visits_, [] { return "page\n"; }).value());
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", gateway_->port()).value());
    run_until([&] { return visits_.healthy == 2; });
  }

  Answer ask(const std::string& fields, const std::string& body = R"({"prompt":"x","model":"m"})",
             const std::string& path = "/v1/completions") {
    return call("POST " + path + " HTTP/1.1\r\nHost: g\r\n" + fields +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                body);
  }
  static std::string bearer(const std::string& key) {
    return "Authorization: Bearer " + key + "\r\n";
  }
  static std::string x_api_key(const std::string& key) { return "X-Api-Key: " + key + "\r\n"; }
  std::unique_ptr<Answer> begin_as(const std::string& key) {
    return begin("{\"prompt\":\"x\",\"stream\":true}", bearer(key));
  }
  // As the workers got them.
  std::vector<HttpHead> heads() const {
    std::vector<HttpHead> all = a_.heads;
    all.insert(all.end(), b_.heads.begin(), b_.heads.end());
    return all;
  }

  std::string tenants_;
  VisitProbe visits_;
};

TEST_F(GatewayTenantsTest, WhoHasNoKeyOrAWrongOneHearsTheSame) {
  serve();
  const Answer none = ask("");
  const Answer wrong = ask(bearer("sk-kvasir-nobody"));
  const Answer basic = ask("Authorization: Basic abc\r\n");
  EXPECT_EQ(none.head.status(), 401);
  EXPECT_EQ(none.field("www-authenticate"), "Bearer");
  EXPECT_EQ(none.body,
            R"({"error":{"message":"a valid API key is needed: Authorization: Bearer KEY, or )"
            R"(x-api-key: KEY","type":"AuthenticationError","param":null,"code":401}})");
  for (const Answer* other : {&wrong, &basic}) {
    EXPECT_EQ(other->head.status(), 401);
    EXPECT_EQ(other->body, none.body);
    EXPECT_EQ(other->head.field_count(), none.head.field_count());
  }
  EXPECT_TRUE(heads().empty());
  ASSERT_EQ(visits_.visits.size(), 3u);
  EXPECT_EQ(visits_.visits[0].refusal, TenantRefusal::kNoKey);
  EXPECT_EQ(visits_.visits[1].refusal, TenantRefusal::kUnknownKey);
  EXPECT_EQ(visits_.visits[0].tenant, "");
}

TEST_F(GatewayTenantsTest, EitherFieldCarriesAKeyAndNoneReachesAWorker) {
  serve();
  for (const std::string& fields :
       {bearer(kKey), std::string("authorization: bearer  ") + kKey + " \r\n", x_api_key(kKey),
        bearer(kKey) + x_api_key("sk-other"),
        std::string("Authorization: Basic x\r\n") + x_api_key(kKey)}) {
    EXPECT_EQ(ask(fields).head.status(), 200) << fields;
  }
  EXPECT_EQ(ask(bearer("sk-other") + x_api_key(kKey)).head.status(), 401);
  EXPECT_EQ(heads().size(), 5u);
  for (const HttpHead& head : heads()) {
    EXPECT_EQ(head.find("authorization"), std::nullopt);
    EXPECT_EQ(head.find("x-api-key"), std::nullopt);
  }
}

TEST_F(GatewayTenantsTest, WorkersGetTheGatewaysOwnToken) {
  options_.upstream_authorization = std::make_shared<const std::string>("Bearer of-the-workers");
  serve();
  ask(bearer(kKey));
  gateway_->set_upstream_authorization(std::make_shared<const std::string>("Bearer later"));
  ask(bearer(kKey));
  std::vector<std::string> tokens;
  for (const HttpHead& head : heads()) tokens.emplace_back(head.find("authorization").value_or(""));
  EXPECT_THAT(tokens, testing::UnorderedElementsAre("Bearer of-the-workers", "Bearer later"));
}

TEST_F(GatewayTenantsTest, NobodyTakesAnothersTurn) {
  serve("  fairness-id: group\n  priority: 7\n");
  ask(bearer(kKey) +
      "x-gateway-inference-fairness-id: second\r\nX-LLM-D-Inference-Fairness-Id: "
      "second\r\nx-llm-d-inference-objective: flag\r\n");
  ask(bearer(kOtherKey) + "x-llm-d-inference-objective: flag\r\n");
  ASSERT_EQ(heads().size(), 2u);
  for (const HttpHead& head : heads()) {
    const bool first = head.find("x-llm-d-inference-fairness-id") == "group";
    EXPECT_EQ(head.find("x-llm-d-inference-fairness-id"), first ? "group" : "second");
    EXPECT_EQ(head.find("x-gateway-inference-fairness-id"), std::nullopt);
    // Whose priority is given has none by an objective.
    EXPECT_EQ(head.find("x-llm-d-inference-objective").has_value(), !first);
  }
}

TEST_F(GatewayTenantsTest, OwnPagesNeedNoKey) {
  serve();
  for (const char* page : {"/health", "/live", "/readyz", "/metrics"}) {
    EXPECT_EQ(call(std::string("GET ") + page + " HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200)
        << page;
  }
  EXPECT_EQ(call("GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 401);
  EXPECT_EQ(visits_.visits.size(), 1u);
}

// Browsers send no key with it; nobody else's reaches a worker that way.
TEST_F(GatewayTenantsTest, APreflightRequestNeedsNoKeyWhereItIsAnsweredHere) {
  const std::string options = "OPTIONS /v1/completions HTTP/1.1\r\nHost: g\r\n";
  const std::string asks = "Origin: http://page\r\nAccess-Control-Request-Method: POST\r\n\r\n";
  serve();
  EXPECT_EQ(call(options + "\r\n").head.status(), 401);
  EXPECT_EQ(call(options + asks).head.status(), 401);
  client_.reset();
  gateway_.reset();
  visits_.healthy = 0;
  options_.cors_origins = {"http://page"};
  serve();
  EXPECT_EQ(call(options + bearer(kKey) + asks).head.status(), 204);
  EXPECT_EQ(call(options + "\r\n").head.status(), 401);
  EXPECT_TRUE(heads().empty());
}

TEST_F(GatewayTenantsTest, AModelThatIsNotTheirsIsRefused) {
  serve("  models: [llama-*, qwen]\n");
  const struct {
    const char* body;
    int status;
  } cases[] = {
      {R"({"model":"qwen","prompt":"x"})", 200},
      {R"({"model":"llama-8b","prompt":"x"})", 200},
      {R"({"model":"other","prompt":"x"})", 403},
      {R"({"model":"qwen","prompt":"x","model":"other"})", 403},
      {R"({"prompt":"x"})", 403},
      {R"({"model":null,"prompt":"x"})", 403},
      {R"({"model":"\u0071wen","prompt":"x"})", 200},
      {"no json", 403},
      {"", 403},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(ask(bearer(kKey), test.body).head.status(), test.status) << test.body;
    EXPECT_EQ(ask(bearer(kKey), test.body, "/invocations").head.status(), test.status) << test.body;
  }
  EXPECT_EQ(ask(bearer(kKey) + "Content-Encoding: gzip\r\n").head.status(), 403);
  EXPECT_EQ(ask(bearer(kOtherKey), R"({"model":"other","prompt":"x"})").head.status(), 200);
  const Answer models = call("GET /v1/models HTTP/1.1\r\nHost: g\r\n" + bearer(kKey) + "\r\n");
  EXPECT_EQ(models.head.status(), 200);
  EXPECT_THAT(visits_.refused, testing::Each(testing::StartsWith("403 first: this API key ")));
}

TEST_F(GatewayTenantsTest, BeyondItsLimitATenantHearsWhenToComeAgain) {
  serve("  requests-per-minute: 2\n");
  const Answer first = ask(bearer(kKey));
  EXPECT_EQ(first.head.status(), 200);
  EXPECT_EQ(first.field("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.field("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(first.field("x-ratelimit-limit-tokens"), "");
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 200);
  const Answer refused = ask(bearer(kKey));
  EXPECT_EQ(refused.head.status(), 429);
  EXPECT_EQ(refused.field("retry-after"), "30");
  EXPECT_EQ(refused.field("x-ratelimit-remaining-requests"), "0");
  EXPECT_THAT(refused.field("x-ratelimit-reset-requests"),
              testing::AnyOf("1m0s", HasSubstr("59.")));
  EXPECT_THAT(refused.body,
              HasSubstr("the limit of this API key is 2 requests a minute; try again in "));
  EXPECT_THAT(refused.body, HasSubstr(R"("type":"TooManyRequestsError","param":null,"code":429)"));
  const Answer messages = ask(bearer(kKey), "{}", "/v1/messages");
  EXPECT_EQ(messages.head.status(), 429);
  EXPECT_THAT(
      messages.body,
      testing::StartsWith(R"({"type":"error","error":{"type":"rate_limit_error","message":")"));
  EXPECT_EQ(ask(bearer(kOtherKey)).head.status(), 200);
  EXPECT_EQ(heads().size(), 3u);
}

TEST_F(GatewayTenantsTest, ARequestThatNeverFitsSaysSo) {
  serve("  tokens-per-minute: 100\n");
  const Answer refused = ask(bearer(kKey), R"({"prompt":"x","max_tokens":200})");
  EXPECT_EQ(refused.head.status(), 429);
  EXPECT_EQ(refused.field("retry-after"), "");
  EXPECT_EQ(refused.field("x-should-retry"), "false");
  EXPECT_THAT(refused.body, HasSubstr("ask for a shorter answer (max_tokens)"));
}

TEST_F(GatewayTenantsTest, TokensAreCountedByTheUsageOfAnswers) {
  serve("  tokens-per-minute: 1000\n");
  a_.usually = b_.usually = FakeWorker::Act::kSay;
  a_.says = b_.says = R"({"usage":{"prompt_tokens":40,"completion_tokens":60}})";
  const std::string body = R"({"prompt":[1,2,3],"max_tokens":500,"model":"m"})";
  const Answer answer = ask(bearer(kKey), body);
  EXPECT_EQ(answer.head.status(), 200);
  // The head goes before the usage is known: it tells of what is reserved.
  EXPECT_EQ(answer.field("x-ratelimit-remaining-tokens"), "497");
  ASSERT_EQ(visits_.visits.size(), 1u);
  EXPECT_EQ(visits_.visits[0].counted, 100u);
  EXPECT_EQ(visits_.visits[0].prompt_tokens, 40u);
  EXPECT_EQ(visits_.visits[0].completion_tokens, 60u);
  EXPECT_EQ(visits_.visits[0].model, "m");
  EXPECT_EQ(visits_.visits[0].request_bytes, body.size());
  EXPECT_EQ(visits_.visits[0].answer_bytes, a_.says.size());
  // 900 are left, more or less: 5 of 100 fit, and the sixth does not while they run.
  EXPECT_EQ(ask(bearer(kKey), R"({"prompt":[1],"max_tokens":950})").head.status(), 429);
  EXPECT_EQ(ask(bearer(kKey), R"({"prompt":[1],"max_tokens":890})").head.status(), 200);
}

TEST_F(GatewayTenantsTest, AStreamThatSaysNothingOfItsUsageIsCounted) {
  serve("  tokens-per-minute: 1000\n");
  a_.usually = b_.usually = FakeWorker::Act::kStream;
  EXPECT_EQ(ask(bearer(kKey), R"({"prompt":[1,2,3],"stream":true})").head.status(), 200);
  ASSERT_EQ(visits_.visits.size(), 1u);
  EXPECT_EQ(visits_.visits[0].prompt_tokens, std::nullopt);
  EXPECT_EQ(visits_.visits[0].counted, 5u);  // three of the prompt, two events
}

TEST_F(GatewayTenantsTest, AnErrorCostsNothing) {
  serve("  tokens-per-minute: 1000\n");
  a_.fails_always = b_.fails_always = true;
  EXPECT_EQ(ask(bearer(kKey), R"({"prompt":[1,2,3],"max_tokens":900})").head.status(), 500);
  EXPECT_EQ(ask(bearer(kKey), R"({"prompt":[1,2,3],"max_tokens":900})").head.status(), 500);
  EXPECT_EQ(visits_.visits[1].counted, 0u);
}

TEST_F(GatewayTenantsTest, ConcurrencyIsGivenBackHoweverARequestEnds) {
  serve("  concurrency: 1\n");
  a_.usually = b_.usually = FakeWorker::Act::kOpenStream;
  a_.pieces = b_.pieces = {"data: x\n\n"};
  const auto running = begin_as(kKey);
  run_until([&] { return !running->body.empty(); });
  const Answer refused = ask(bearer(kKey));
  EXPECT_EQ(refused.head.status(), 429);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_EQ(refused.field("retry-after-ms"), "1000");
  const auto others = begin_as(kOtherKey);
  run_until([&] { return !others->body.empty(); });
  running->call->cancel();
  run_until([&] { return visits_.visits.size() == 2; });
  EXPECT_EQ(visits_.visits[1].end, VisitEnd::kClientGone);
  EXPECT_EQ(visits_.visits[1].status, 499);
  EXPECT_GE(visits_.visits[1].counted, 1u);
  // Cut in the middle.
  a_.usually = b_.usually = FakeWorker::Act::kCutMidStream;
  EXPECT_TRUE(ask(bearer(kKey)).failure.has_value());
  EXPECT_EQ(visits_.visits[2].end, VisitEnd::kCut);
  a_.usually = b_.usually = FakeWorker::Act::kAnswer;
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 200);
  EXPECT_EQ(visits_.visits[3].end, VisitEnd::kComplete);
  others->call->cancel();
}

TEST_F(GatewayTenantsTest, ANewFileCountsFromThenOn) {
  serve("  requests-per-minute: 2\n");
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 200);
  auto next = load_tenants("keys",
                           std::string("- name: first\n  requests-per-minute: 2\n  keys: [") +
                               to_string(KeyHasher().digest("new")) + "]\n",
                           options_.tenants.get());
  gateway_->set_tenants(*next);
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 401);
  EXPECT_EQ(ask(bearer(kOtherKey)).head.status(), 401);
  EXPECT_EQ(ask(bearer("new")).head.status(), 200);
  EXPECT_EQ(ask(bearer("new")).head.status(), 429) << "what the tenant used goes on";
}

TEST_F(GatewayTenantsTest, AnExpiredKeyIsNone) {
  WallSeconds now(std::chrono::seconds(0));
  options_.wall_clock = [&now] { return now; };
  serve("  expires: 2027-01-31\n");
  now = *parse_expiry("2027-01-30T23:59:59Z");
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 200);
  now = *parse_expiry("2027-01-31");
  EXPECT_EQ(ask(bearer(kKey)).head.status(), 401);
}

// Past the pool the same counts: who it is, the model, the tokens.
TEST_F(GatewayTenantsTest, WhatAHeaderSendsElsewhereIsCountedToo) {
  FakeWorker other(*loop_, "other");
  other.usually = FakeWorker::Act::kSay;
  other.says = R"({"usage":{"prompt_tokens":4,"completion_tokens":6}})";
  options_.header_routes = {{"x-kv-backend", "fs", {"127.0.0.1", other.port()}}};
  options_.upstream_authorization = std::make_shared<const std::string>("Bearer of-the-workers");
  serve("  tokens-per-minute: 1000\n  models: [m]\n");
  const std::string fields = bearer(kKey) + "x-kv-backend: fs\r\n";
  EXPECT_EQ(ask(fields, R"({"prompt":"x","model":"other"})").head.status(), 403);
  const Answer answer = ask(fields);
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_EQ(answer.field("x-ratelimit-limit-tokens"), "1000");
  ASSERT_EQ(other.heads.size(), 1u);
  EXPECT_EQ(other.heads[0].find("authorization"), std::nullopt);
  ASSERT_EQ(visits_.visits.size(), 2u);
  EXPECT_EQ(visits_.visits[1].route, "x-kv-backend=fs");
  EXPECT_EQ(visits_.visits[1].endpoint, "127.0.0.1:" + std::to_string(other.port()));
  EXPECT_EQ(visits_.visits[1].model, "m");
  EXPECT_EQ(visits_.visits[1].counted, 10u);
  EXPECT_EQ(visits_.visits[1].completion_tokens, 6u);
  gateway_.reset();
}

TEST_F(GatewayTenantsTest, EveryRequestIsToldOfOnce) {
  serve();
  const Answer answer = call("POST /v1/completions?token=secret HTTP/1.1\r\nHost: g\r\n" +
                                 bearer(kKey) + "x-request-id: id-7\r\nContent-Length: 12\r\n\r\n",
                             R"({"prompt":1})");
  EXPECT_EQ(answer.head.status(), 200);
  ASSERT_EQ(visits_.visits.size(), 1u);
  const VisitProbe::Told& told = visits_.visits[0];
  EXPECT_EQ(told.tenant, "first");
  EXPECT_EQ(told.method, "POST");
  EXPECT_EQ(told.path, "/v1/completions");
  EXPECT_EQ(told.request_id, "id-7");
  EXPECT_EQ(told.status, 200);
  EXPECT_EQ(told.answer_bytes, 1u);
  EXPECT_THAT(told.endpoint, testing::StartsWith("127.0.0.1:"));
  call("BREW / HTTP/1.1\r\nHost: g\r\n\r\n");
  EXPECT_EQ(visits_.visits.size(), 2u);
  EXPECT_EQ(visits_.visits[1].status, 400);
  call("HEAD /v1/models HTTP/1.1\r\nHost: g\r\n" + bearer(kKey) + "\r\n", "", true);
  EXPECT_EQ(visits_.visits[2].status, 200);
  EXPECT_EQ(visits_.visits.size(), 3u);
}

}  // namespace
}  // namespace kvasir
