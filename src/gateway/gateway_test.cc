// The gateway in front of fake workers, all on one loop.
#include "gateway/gateway_fixture.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "serving/api_requests_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Act = FakeWorker::Act;

TEST_F(GatewayTest, RelaysBytesBothWaysAndNamesTheWorker) {
  start();
  const std::string body = "{ \"prompt\" : \"x\", \"big\": 12345678901234567890123, \"prompt\":\"y\"}";
  const Answer answer = complete(body);
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_THAT(a_.bodies, ElementsAre(body));
  EXPECT_THAT(a_.request_ids, ElementsAre("id-7"));
  EXPECT_EQ(answer.body, "a");
  EXPECT_EQ(answer.field("x-selected-pod"), "127.0.0.1:" + std::to_string(a_.port()));
  EXPECT_EQ(answer.field("x-request-id"), "id-7");
  EXPECT_NE(answer.field("x-scheduling-time-ms"), "");
  EXPECT_EQ(answer.field("x-cache-prefix-length"), "0");
}

TEST_F(GatewayTest, ARequestWithoutAnIdOrWithAnEmptyOneGetsOne) {
  start();
  const std::string head = "POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n";
  for (const char* field : {"", "x-request-id:\r\n"}) {
    const Answer answer = call(head + field + "\r\n", "{}");
    EXPECT_NE(answer.field("x-request-id"), "") << field;
  }
}

TEST_F(GatewayTest, RoundRobinAlternates) {
  start();
  std::string order;
  for (int i = 0; i < 6; ++i) order += complete().body;
  EXPECT_EQ(order, "ababab");
}

TEST_F(GatewayTest, StreamsKeepTheirFraming) {
  a_.script = {Act::kStream};
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.body, "data: a\n\ndata: [DONE]\n\n");
  EXPECT_TRUE(answer.head.chunked());
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayTest, FailureBeforeTheFirstBodyByteIsRetriedElsewhere) {
  for (const Act act : {Act::kCut, Act::kCutAfterHead}) {
    a_.script = {act};
    start();
    const Answer answer = complete();
    EXPECT_EQ(answer.head.status(), 200);
    EXPECT_EQ(answer.body, "b");
    EXPECT_EQ(b_.bodies.back(), a_.bodies.back());
    client_.reset();
    gateway_.reset();
    probe_.forget();
  }
}

TEST_F(GatewayTest, FailureAfterTheFirstBodyByteCutsTheAnswer) {
  a_.script = {Act::kCutMidStream};
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.body, "data: a\n\n");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(probe_.retries, 0);
  EXPECT_FALSE(probe_.finished.back().complete);
}

TEST_F(GatewayTest, WhenEveryWorkerFailsTheClientGets502) {
  a_.script = {Act::kCut};
  b_.script = {Act::kCut};
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 502);
  EXPECT_THAT(answer.body, HasSubstr("\"code\":502"));
}

TEST_F(GatewayTest, DeadWorkerIsTakenOutAndComesBack) {
  start();
  a_.healthy = false;
  run_until([&] { return probe_.healthy == 1; });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().body, "b");
  a_.healthy = true;
  run_until([&] { return probe_.healthy == 2; });
  EXPECT_THAT(complete().body + complete().body, ::testing::AnyOf("ab", "ba"));
}

TEST_F(GatewayTest, RefusedConnectionIsRetriedAndCounted) {
  start();
  a_.close();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(complete().body, "b");
  run_until([&] { return probe_.healthy == 1; });
}

TEST_F(GatewayTest, WithoutAHealthyWorkerRequestsAndHealthGet503) {
  a_.healthy = b_.healthy = false;
  options_.pool.feeds.monitor.try_unhealthy = false;
  start(0);
  const Answer refused = complete();
  EXPECT_EQ(refused.head.status(), 503);
  EXPECT_THAT(refused.body, ::testing::HasSubstr("no worker is available"));
  EXPECT_THAT(probe_.bad_answers, ::testing::ElementsAre("503 id-7 : no worker is available"));
  EXPECT_EQ(call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 503);
  EXPECT_EQ(call("GET /live HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
}

TEST_F(GatewayTest, ItIsReadyOnceItKnowsItsWorkersWhateverTheirHealth) {
  a_.frozen = true;
  b_.healthy = false;
  options_.pool.feeds.monitor.rules.timeout = std::chrono::milliseconds(500);
  start(0);
  const auto readiness = [&] { return call("GET /readyz HTTP/1.1\r\nHost: g\r\n\r\n"); };
  const Answer early = readiness();
  EXPECT_EQ(early.head.status(), 503) << "one was not asked yet";
  EXPECT_EQ(early.body, "the workers are not known yet\n");
  a_.frozen = false;
  run_until([&] { return readiness().head.status() == 200; });
}

TEST_F(GatewayTest, WhileItWaitsToStopItSaysSoAndServes) {
  options_.drain_delay = std::chrono::hours(1);
  start();
  ASSERT_EQ(call("GET /readyz HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
  gateway_->drain([] {});
  const Answer readiness = call("GET /readyz HTTP/1.1\r\nHost: g\r\n\r\n");
  EXPECT_EQ(readiness.head.status(), 503);
  EXPECT_EQ(readiness.body, "stopping\n");
  EXPECT_EQ(call("GET /live HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
  client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", gateway_->port()).value());
  const Answer answer = complete();
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_FALSE(answer.head.keep_alive()) << "the next request goes to another replica";
}

TEST_F(GatewayTest, AResetOfAPrefixCacheIsNoticed) {
  start();
  const std::string rest = " HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(call("POST /reset_prefix_cache" + rest).head.status(), 200);
  EXPECT_EQ(probe_.cache_resets, 1);
  EXPECT_EQ(call("POST /reset_prefix_cache?reset_running_requests=true" + rest).head.status(), 200);
  EXPECT_EQ(probe_.cache_resets, 2);
  EXPECT_EQ(call("GET /reset_prefix_cache HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
  for (const char* none : {"POST /wake_up", "POST /sleep?level=0", "POST /sleep?mode=a&level=0"}) {
    EXPECT_EQ(call(none + rest).head.status(), 200);
    EXPECT_EQ(probe_.cache_resets, 2) << none;
  }
  EXPECT_EQ(call("POST /sleep" + rest).head.status(), 200)
      << "vLLM: of level 1 then, which empties it";
  EXPECT_EQ(probe_.cache_resets, 3);
  EXPECT_EQ(call("POST /sleep?level=10" + rest).head.status(), 200);
  EXPECT_EQ(call("POST /flush_cache" + rest).head.status(), 200) << "SGLang's";
  EXPECT_EQ(probe_.cache_resets, 5);
}

TEST_F(GatewayTest, WithoutAHealthyWorkerThoseThatTakeConnectionsAreTried) {
  for (const char* policy : {"kv", "least-load", "round-robin", "load-cost"}) {
    options_.pool.policy = policy;
    a_.healthy = b_.healthy = false;
    start(0);
    EXPECT_TRUE(happens([&] { return complete().head.status() == 200; })) << policy;
    const std::string models = "GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n";
    EXPECT_EQ(call(models).head.status(), 200) << policy;
    const Answer health = call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n");
    EXPECT_EQ(health.head.status(), 200) << "requests are answered: " << policy;
    EXPECT_EQ(health.body, "0 of 2 endpoints healthy; trying all\n");
    EXPECT_EQ(probe_.healthy, 0) << "their own word counts more than an answer";
    client_.reset();
    gateway_.reset();
  }
}

TEST_F(GatewayTest, HealthCountsOnlyThoseThatAreTried) {
  a_.healthy = false;
  b_.close();
  start(0);
  std::string body;
  EXPECT_TRUE(happens([&] {
    const Answer health = call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n");
    body = health.body;
    return health.head.status() == 200;
  }));
  EXPECT_EQ(body, "0 of 2 endpoints healthy; trying the 1 that take connections\n");
}

TEST_F(GatewayTest, HealthIs503WhenNoEndpointTakesConnections) {
  a_.close();
  b_.close();
  start(0);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 503);
  }
  EXPECT_EQ(complete().head.status(), 503) << "requests are not tried either";
}

// Some agents compress what they send: whether that is understood is the worker's to say.
TEST_F(GatewayTest, ACompressedBodyIsRelayedAsItCame) {
  start();
  const std::string zstd = "\x28\xb5\x2f\xfd is no JSON";
  for (const char* coding : {"zstd", "gzip", "br", "x-unknown"}) {
    const auto answer = call("POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
                             "Content-Encoding: " + std::string(coding) + "\r\nContent-Length: " +
                                 std::to_string(zstd.size()) + "\r\n\r\n",
                             zstd);
    EXPECT_EQ(answer.head.status(), 200) << coding;
  }
  std::vector<std::string> bodies = a_.bodies;
  bodies.insert(bodies.end(), b_.bodies.begin(), b_.bodies.end());
  EXPECT_EQ(bodies, std::vector<std::string>(4, zstd));
  EXPECT_EQ(call("POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Encoding: identity\r\nContent-Length: 4\r\n\r\n",
                 "{bad").head.status(), 400);
}

TEST_F(GatewayTest, HealthIsGoodOnceEveryWorkerWasAsked) {
  b_.close();  // asked in vain
  start(1);
  EXPECT_TRUE(happens([&] { return call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n").head.status() == 200; }));
}

TEST_F(GatewayTest, SilentWorkerIs504AndNotRetried) {
  a_.script = {Act::kHang};
  options_.client.first_byte_timeout = std::chrono::milliseconds(20);
  start();
  EXPECT_EQ(complete().head.status(), 504);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayTest, ClientThatLeavesFreesTheWorker) {
  a_.script = {Act::kHang};
  start();
  Answer answer(*loop_);
  const std::string head = "POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n";
  HttpCall& pending = client_->start(head, "{}", answer);
  run_until([&] { return !a_.bodies.empty(); });
  pending.cancel();
  run_until([&] { return a_.clients_gone == 1; });
  EXPECT_EQ(probe_.finished.back().status, 499);
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayTest, AnswerThatEndsWithTheConnectionIsReframed) {
  a_.script = {Act::kNoLength};
  start();
  const Answer answer = complete();
  EXPECT_EQ(answer.body, "until close");
  EXPECT_TRUE(answer.head.chunked());
}

TEST_F(GatewayTest, OldClientsGetNoChunks) {
  a_.script = {Act::kStream};
  start();
  const Answer answer = call("POST /v1/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n", "{}");
  EXPECT_FALSE(answer.head.chunked());
  EXPECT_EQ(answer.body, "data: a\n\ndata: [DONE]\n\n");
}

TEST_F(GatewayTest, HeadAndOtherPathsAreRelayedInTurn) {
  start();
  const Answer answer = call("HEAD /v1/models HTTP/1.1\r\nHost: g\r\n\r\n", "", true);
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(call("GET /metrics HTTP/1.1\r\nHost: g\r\n\r\n").body, "page\n");
  // They are not counted by the policy: round robin starts at the first worker.
  EXPECT_EQ(complete().body, "a");
}

TEST_F(GatewayTest, BodyThatIsNoJsonIsRefusedHere) {
  start();
  const std::string head = "POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: ";
  const Answer answer = call(head + "13\r\n\r\n", "{\"prompt\": x}");
  EXPECT_EQ(answer.head.status(), 400);
  EXPECT_THAT(answer.body, HasSubstr("\"param\":\"body.11\""));
  EXPECT_TRUE(a_.bodies.empty());
  // Python's JSON takes NaN, so vLLM does.
  EXPECT_EQ(call(head + "20\r\n\r\n", "{\"temperature\": NaN}").head.status(), 200);
}

TEST_F(GatewayTest, AConfigurationRoutes) {
  options_.pool.policy = "";
  options_.pool.config_name = "test.yaml";
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: active-request-scorer}, {type: max-score-picker}]\n"
      "schedulingProfiles:\n- name: default\n"
      "  plugins: [{pluginRef: active-request-scorer}, {pluginRef: max-score-picker}]\n";
  a_.script = {Act::kHang};
  b_.script = {Act::kHang};
  start();
  Answer held(*loop_);
  client_->start("POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n", "{}", held);
  run_until([&] { return a_.bodies.size() + b_.bodies.size() == 1; });
  FakeWorker& idle = a_.bodies.empty() ? a_ : b_;
  idle.script.clear();
  // One request is in flight on the busy one, so all others go to the idle one.
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().body, &idle == &a_ ? "a" : "b");
}

TEST_F(GatewayTest, AConfigurationSeesTheEnginesQueues) {
  options_.pool.policy = "";
  options_.pool.config_name = "test.yaml";
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: queue-scorer}]\n";
  a_.metrics = "vllm:num_requests_waiting{engine=\"0\"} 7\n";
  b_.metrics = "vllm:num_requests_waiting{engine=\"0\"} 2\n";
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(complete().body, "b");
  // A scraping round later the queues have changed.
  b_.metrics = "vllm:num_requests_waiting{engine=\"0\"} 9\n";
  EXPECT_TRUE(happens([&] { return complete().body == "a"; }));
}

TEST_F(GatewayTest, AWorkerThatReportsNonsenseDoesNotGetAllRequests) {
  options_.pool.policy = "";
  options_.pool.config_name = "test.yaml";
  for (const char* scorer :
       {"queue-scorer", "running-requests-size-scorer", "kv-cache-utilization-scorer"}) {
    options_.pool.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
        "plugins: [{type: " +
        std::string(scorer) + "}]\n";
    a_.metrics =
        "vllm:num_requests_waiting -1000000000\nvllm:num_requests_running -5\n"
        "vllm:kv_cache_usage_perc -3\n";
    b_.metrics =
        "vllm:num_requests_waiting 3\nvllm:num_requests_running 2\n"
        "vllm:kv_cache_usage_perc 0.5\n";
    start();
    EXPECT_TRUE(happens([&] { return complete().body == "b"; })) << scorer;
    int b = 0;
    for (int i = 0; i < 10; ++i) b += complete().body == "b" ? 1 : 0;
    EXPECT_GE(b, 3) << scorer;
    client_.reset();
    gateway_.reset();
    probe_.forget();
  }
}

TEST_F(GatewayTest, ItsOwnPagesAreOnlyRead) {
  start();
  for (const char* page : {"/metrics", "/health", "/live", "/readyz", "/%6detrics", "/metrics?x"}) {
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
      const Answer answer = call(std::string(method) + " " + page +
                                 " HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n");
      EXPECT_EQ(answer.head.status(), 405) << method << " " << page;
      EXPECT_EQ(answer.field("allow"), "GET, HEAD");
      EXPECT_THAT(answer.body, HasSubstr("\"code\":405"));
    }
  }
  EXPECT_TRUE(a_.bodies.empty() && b_.bodies.empty()) << "nothing reached a worker";
}

TEST_F(GatewayTest, AWrongConfigurationRefusesToStartAndNamesTheLine) {
  options_.pool.policy = "";
  options_.pool.config_name = "test.yaml";
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins:\n- type: queue-scorrer\n";
  const auto gateway = Gateway::create(*loop_, options_, probe_, [] { return ""; });
  ASSERT_FALSE(gateway);
  EXPECT_THAT(gateway.error().message, HasSubstr("test.yaml:4: "));
  EXPECT_THAT(gateway.error().message, HasSubstr("queue-scorer"));
}

// Endpoints from a file, which the test writes.
class GatewayWithFileTest : public GatewayTest {
 protected:
  GatewayWithFileTest() {
    options_.pool.feeds.endpoints.clear();
    options_.pool.feeds.endpoints_file =
        ::testing::TempDir() + "gateway-" + std::to_string(getpid()) + ".yaml";
    options_.pool.feeds.file_interval = std::chrono::milliseconds(1);
    options_.pool.feeds.endpoints_max = 2;
  }
  ~GatewayWithFileTest() override { unlink(options_.pool.feeds.endpoints_file.c_str()); }

  void write(const std::vector<std::pair<std::string, uint16_t>>& endpoints) {
    std::string text = "endpoints:";
    if (endpoints.empty()) text += " []";
    for (const auto& [name, port] : endpoints) {
      text += "\n- {name: " + name + ", address: 127.0.0.1, port: " + std::to_string(port) + "}";
    }
    const std::string fresh = options_.pool.feeds.endpoints_file + ".new";
    std::ofstream(fresh) << text << "\n";
    ASSERT_EQ(rename(fresh.c_str(), options_.pool.feeds.endpoints_file.c_str()), 0);
  }
};

TEST_F(GatewayWithFileTest, EndpointsComeAndGoWhileRequestsRun) {
  write({{"a", a_.port()}});
  a_.script = {Act::kHang};
  start(1);
  Answer held(*loop_);
  client_->start("POST /v1/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n", "{}", held);
  run_until([&] { return a_.bodies.size() == 1; });
  write({{"b", b_.port()}});
  EXPECT_TRUE(happens([&] { return complete().body == "b"; }));
  EXPECT_FALSE(held.over) << "what runs with the endpoint that left goes on";
  EXPECT_EQ(probe_.left, 1);
  EXPECT_EQ(probe_.unwatched, 1) << "it left, which is no change of its health";
  write({{"b", b_.port()}, {"a", a_.port()}});
  EXPECT_TRUE(happens([&] { return complete().body == "a"; }));
  write({});
  EXPECT_TRUE(happens([&] { return complete().head.status() == 503; }));
}

TEST_F(GatewayWithFileTest, TheEndpointThatTakesASlotOverGetsTheRequests) {
  options_.pool.feeds.endpoints_max = 1;
  write({{"a", a_.port()}});
  start(1);
  EXPECT_EQ(complete().body, "a");
  write({{"a", a_.port()}, {"b", b_.port()}});
  run_until([&] { return probe_.refused_endpoints > 0; });  // there is one slot
  EXPECT_TRUE(happens([&] { return complete().body == "a"; }));
  write({{"b", b_.port()}});
  EXPECT_TRUE(happens([&] { return complete().body == "b"; }));
}

TEST_F(GatewayWithFileTest, TheSelectedPodIsTheEndpointsNameAlsoAfterARetry) {
  write({{"vllm-0", a_.port()}, {"vllm-1", b_.port()}});
  start(2);
  EXPECT_EQ(complete().field("x-selected-pod"), "vllm-0");
  b_.script = {Act::kCut};
  const Answer retried = complete();
  EXPECT_EQ(retried.body, "a");
  EXPECT_EQ(retried.field("x-selected-pod"), "vllm-0");
}

TEST_F(GatewayWithFileTest, WithoutAFileItDoesNotStart) {
  const auto gateway = Gateway::create(*loop_, options_, probe_, [] { return ""; });
  ASSERT_FALSE(gateway);
  EXPECT_THAT(gateway.error().message, ::testing::HasSubstr("cannot be read"));
}

TEST_F(GatewayTest, AnEndpointWhoseAnswersBreakIsLeftOut) {
  options_.pool.journey.fault_pause = options_.pool.journey.failure_pause = Duration::zero();
  options_.pool.feeds.ejection.failures_in_a_row = 2;
  options_.pool.feeds.monitor.rules.unhealthy_threshold =
      1'000'000;  // so that health checks take nobody out
  a_.script = {Act::kCut, Act::kCut};
  start();
  for (int i = 0; i < 12; ++i) EXPECT_EQ(complete().head.status(), 200);
  EXPECT_EQ(a_.bodies.size(), 2u);
  EXPECT_EQ(probe_.retries, 2);
}

TEST_F(GatewayTest, DrainLetsRunningRequestsEnd) {
  start();
  bool drained = false;
  gateway_->drain([&] { drained = true; });
  run_until([&] { return drained; });
}

TEST_F(GatewayTest, PortInUseIsNamed) {
  start();
  options_.port = gateway_->port();
  RecordingProbe other;
  const auto second = Gateway::create(*loop_, options_, other, [] { return ""; });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("already in use"));
}

// --- Requests are read by their path ---------------------------------------------------------

class GatewayApiTest : public GatewayTest {
 protected:
  GatewayApiTest() {
    options_.pool.policy = "kv";
    a_.metrics = b_.metrics =
        "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100000\"} 1\n";
  }
  Answer post(const std::string& path, const std::string& body) {
    return call("POST " + path + " HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n",
                body);
  }
  static int cached(const Answer& answer) {
    return std::atoi(answer.field("x-cache-prefix-length").c_str());
  }
};

TEST_F(GatewayApiTest, AResetOfAPrefixCacheEndsWhatWasGuessedOfIt) {
  start();
  const ApiRequest request = api_requests().front();
  const std::string body = body_with(request, long_words(7), "1");
  EXPECT_EQ(cached(post(request.path, body)), 0);
  const Answer guessed = post(request.path, body);
  EXPECT_GT(cached(guessed), 2000);
  EXPECT_EQ(guessed.field("x-cache-knowledge"), "");
  for (const char* reset : {"/reset_prefix_cache", "/sleep?level=1", "/flush_cache"}) {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(post(reset, "").head.status(), 200);
    EXPECT_EQ(cached(post(request.path, body)), 0) << reset;
    EXPECT_GT(cached(post(request.path, body)), 2000) << reset;
  }
}

TEST_F(GatewayApiTest, OnePromptStaysOnOneWorkerWhateverTheApi) {
  start();
  int seed = 100'000;
  for (const bool ids : {false, true}) {
    for (const ApiRequest& request : ids ? api_id_requests() : api_requests()) {
      const std::string head = ids ? long_ids(seed += 100'000) : long_words(seed += 100'000);
      const Answer first = post(request.path, body_with(request, head, "1"));
      EXPECT_EQ(first.head.status(), 200) << request.name;
      EXPECT_EQ(cached(first), 0) << request.name;
      for (int i = 2; i <= 4; ++i) {
        const Answer next = post(request.path, body_with(request, head, std::to_string(i)));
        EXPECT_EQ(next.body, first.body) << request.name;
        EXPECT_GT(cached(next), 2000) << request.name;
      }
    }
  }
}

TEST_F(GatewayApiTest, OtherSystemTextsWithEqualMessagesAreNotCached) {
  start();
  int seed = 100'000;
  for (const ApiRequest& request : api_requests()) {
    for (int i = 0; i < 3; ++i) {
      const std::string body = body_with(request, long_words(seed += 100'000), "the same");
      EXPECT_LT(cached(post(request.path, body)), 600) << request.name;
    }
  }
}

TEST_F(GatewayApiTest, WhatIsNotForAModelIsNotBooked) {
  start();
  for (const char* path : {"/tokenize", "/reset_prefix_cache", "/x/generate", "/v2/models"}) {
    EXPECT_EQ(post(path, "{\"prompt\":\"x\"}").head.status(), 200) << path;
    EXPECT_FALSE(probe_.finished.back().inference) << path;
  }
  for (const char* path : {"/v1/completions", "/generate", "/invocations", "/v1/audio/transcriptions"}) {
    EXPECT_EQ(post(path, "{\"prompt\":\"x\"}").head.status(), 200) << path;
    EXPECT_TRUE(probe_.finished.back().inference) << path;
  }
}

// --- Bodies that cannot be read --------------------------------------------------------------

TEST_F(GatewayApiTest, ALongBodyThatIsNoObjectIsRefusedWithoutReadingIt) {
  options_.explained_body_bytes_max = 1000;
  start();
  const std::string filler(2000, ' ');
  const std::string ones = "1" + filler + ",2";
  for (const std::string& body :
       {"[" + ones + "]", "[" + ones, "\"" + filler + "\"", filler, "null" + filler, "{" + filler + "]",
        "\xef\xbb\xbf[1]" + filler, "{\"prompt\":\"x\"}" + filler + "x"}) {
    const Answer answer = post("/v1/completions", body);
    EXPECT_EQ(answer.head.status(), 400) << body.substr(0, 20);
    EXPECT_THAT(answer.body, HasSubstr("cannot be read as a JSON object"));
  }
  EXPECT_THAT(post("/v1/completions", "[1]").body, ::testing::Not(HasSubstr("cannot be read as")));
  EXPECT_THAT(post("/v1/completions", "{").body, HasSubstr("JSON decode error"));
  // What vLLM may find an object in is its to read.
  for (const std::string& body :
       {"{\"prompt\":\"" + filler + "\"}", "{\"prompt\":\"\xed\xa0\x80" + filler + "\"}",
        std::string("{\0}\0", 4) + filler}) {
    EXPECT_EQ(post("/v1/completions", body).head.status(), 200);
  }
}

}  // namespace
}  // namespace kvasir
