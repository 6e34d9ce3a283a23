// The gateway in front of fake workers, all on one loop.
#include "gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <fstream>

#include "net/event_loop.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A worker that does what its script says, request by request; then it answers with its name.
class FakeWorker final : public HttpHandler, private HttpExchange::Observer {
 public:
  enum class Act { kAnswer, kStream, kCut, kCutAfterHead, kCutMidStream, kHang, kNoLength };

  FakeWorker(EventLoop& loop, std::string name)
      : loop_(loop),
        name_(std::move(name)),
        server_(std::make_unique<HttpServer>(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this)),
        port_(server_->port()) {}

  uint16_t port() const { return port_; }
  void close() { server_.reset(); }
  void on_client_gone() override { ++clients_gone; }
  Refusal on_refused(int, std::string_view) override { return {}; }

  void on_request(HttpExchange& exchange) override {
    if (exchange.head().path() == "/health") return exchange.respond(healthy ? 200 : 503, "", "");
    if (exchange.head().path() == "/metrics") {
      return exchange.respond(200, "", metrics);
    }
    bodies.emplace_back(exchange.body());
    request_ids.emplace_back(exchange.head().find("x-request-id").value_or(""));
    act(exchange);
  }

  std::deque<Act> script;
  std::vector<std::string> bodies;
  std::vector<std::string> request_ids;
  std::string metrics = "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1\n";
  bool healthy = true;
  int clients_gone = 0;

 private:
  void act(HttpExchange& exchange) {
    Act next = Act::kAnswer;
    if (!script.empty()) {
      next = script.front();
      script.pop_front();
    }
    switch (next) {
      case Act::kAnswer:
        return exchange.respond(200, "Content-Type: application/json\r\n", name_);
      case Act::kStream:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        exchange.write("data: " + name_ + "\n\n");
        exchange.write("data: [DONE]\n\n");
        return exchange.finish();
      case Act::kCut:
        return exchange.abort();
      case Act::kCutAfterHead:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        return exchange.abort();
      case Act::kCutMidStream:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        exchange.write("data: " + name_ + "\n\n");
        return exchange.abort();
      case Act::kHang:
        return exchange.set_observer(this);
      case Act::kNoLength:
        exchange.start_raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", false);
        exchange.write_raw("until close");
        return exchange.finish_raw();
    }
  }

  EventLoop& loop_;
  const std::string name_;
  std::unique_ptr<HttpServer> server_;
  const uint16_t port_;
};

class RecordingProbe final : public GatewayProbe {
 public:
  void on_health_changed(const Endpoint&, bool is_healthy) override { healthy += is_healthy ? 1 : -1; }
  void on_started() override { ++started; }
  void on_routed(EndpointId) override { ++in_flight; }
  void on_released(EndpointId) override { --in_flight; }
  void on_retry(EndpointId, std::string_view) override { ++retries; }
  void on_finished(const RequestReport& report) override { finished.push_back(report); }
  void on_refused(int, std::string_view) override {}

  void on_left(const Endpoint&) override { ++left; }
  void on_endpoint_refused(const Endpoint&) override { ++refused_endpoints; }

  int left = 0, refused_endpoints = 0;
  int healthy = 0, started = 0, in_flight = 0, retries = 0;
  std::vector<RequestReport> finished;
};

struct Answer final : HttpCallObserver {
  explicit Answer(EventLoop& event_loop) : loop(event_loop) {}
  void on_head(const HttpHead& received) override { head = received; }
  void on_body(std::string_view bytes) override { body += bytes; }
  void on_end() override { done(); }
  void on_failure(const HttpFailure& reason) override {
    failure = reason;
    done();
  }
  void done() {
    over = true;
    loop.stop();
  }
  std::string field(std::string_view name) const { return std::string(head.find(name).value_or("")); }

  EventLoop& loop;
  HttpHead head;
  std::string body;
  std::optional<HttpFailure> failure;
  bool over = false;
};

class GatewayTest : public ::testing::Test {
 protected:
  GatewayTest()
      : loop_(std::move(EventLoop::create().value())), a_(*loop_, "a"), b_(*loop_, "b") {
    options_.port = 0;
    options_.policy = "round-robin";
    options_.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.monitor.interval = options_.monitor.first_interval = std::chrono::milliseconds(2);
    options_.workers = {{"127.0.0.1", a_.port()}, {"127.0.0.1", b_.port()}};
  }
  ~GatewayTest() override {
    client_.reset();
    gateway_.reset();
  }

  void start(int healthy_workers = 2) {
    gateway_ = std::move(Gateway::create(*loop_, options_, probe_, [] { return "page\n"; }).value());
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", gateway_->port()).value());
    run_until([&] { return probe_.healthy == healthy_workers; });
  }

  void run_until(std::function<bool()> done) {
    const std::function<void()> look = [&] {
      if (done()) return loop_->stop();
      loop_->after(std::chrono::milliseconds(1), look);
    };
    look();
    loop_->run();
  }

  // For what takes calls of its own to see: tries until it is so, and gives up.
  static bool happens(const std::function<bool()>& event) {
    for (int tries = 0; tries < 10000; ++tries) {
      if (event()) return true;
    }
    return false;
  }

  Answer call(const std::string& head, const std::string& body = "", bool is_head = false) {
    Answer answer(*loop_);
    client_->start(head, body, answer, is_head);
    loop_->run();
    EXPECT_TRUE(answer.over);
    return answer;
  }

  Answer complete(const std::string& body = "{\"prompt\":\"x\",\"stream\":true}") {
    return call("POST /v1/completions HTTP/1.1\r\nHost: g\r\nx-request-id: id-7\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n",
                body);
  }

  std::unique_ptr<EventLoop> loop_;
  FakeWorker a_, b_;
  RecordingProbe probe_;
  GatewayOptions options_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpClient> client_;
};

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
    probe_ = RecordingProbe();
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
  start(0);
  EXPECT_EQ(complete().head.status(), 503);
  EXPECT_EQ(call("GET /health HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 503);
  EXPECT_EQ(call("GET /live HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
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
  options_.config_name = "test.yaml";
  options_.config =
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
  options_.config_name = "test.yaml";
  options_.config =
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

TEST_F(GatewayTest, AWrongConfigurationRefusesToStartAndNamesTheLine) {
  options_.config_name = "test.yaml";
  options_.config =
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
    options_.workers.clear();
    options_.endpoints_file = ::testing::TempDir() + "gateway-" + std::to_string(getpid()) + ".yaml";
    options_.file_interval = std::chrono::milliseconds(1);
    options_.endpoints_max = 2;
  }
  ~GatewayWithFileTest() override { unlink(options_.endpoints_file.c_str()); }

  void write(const std::vector<std::pair<std::string, uint16_t>>& endpoints) {
    std::string text = "endpoints:";
    if (endpoints.empty()) text += " []";
    for (const auto& [name, port] : endpoints) {
      text += "\n- {name: " + name + ", address: 127.0.0.1, port: " + std::to_string(port) + "}";
    }
    const std::string fresh = options_.endpoints_file + ".new";
    std::ofstream(fresh) << text << "\n";
    ASSERT_EQ(rename(fresh.c_str(), options_.endpoints_file.c_str()), 0);
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
  write({{"b", b_.port()}, {"a", a_.port()}});
  EXPECT_TRUE(happens([&] { return complete().body == "a"; }));
  write({});
  EXPECT_TRUE(happens([&] { return complete().head.status() == 503; }));
}

TEST_F(GatewayWithFileTest, TheEndpointThatTakesASlotOverGetsTheRequests) {
  options_.endpoints_max = 1;
  write({{"a", a_.port()}});
  start(1);
  EXPECT_EQ(complete().body, "a");
  write({{"a", a_.port()}, {"b", b_.port()}});
  run_until([&] { return probe_.refused_endpoints > 0; });  // there is one slot
  EXPECT_TRUE(happens([&] { return complete().body == "a"; }));
  write({{"b", b_.port()}});
  EXPECT_TRUE(happens([&] { return complete().body == "b"; }));
}

TEST_F(GatewayWithFileTest, WithoutAFileItDoesNotStart) {
  const auto gateway = Gateway::create(*loop_, options_, probe_, [] { return ""; });
  ASSERT_FALSE(gateway);
  EXPECT_THAT(gateway.error().message, ::testing::HasSubstr("cannot be read"));
}

TEST_F(GatewayTest, AnEndpointWhoseAnswersBreakIsLeftOutWhenAskedFor) {
  options_.eject_outliers = true;
  options_.ejection.failures_in_a_row = 2;
  options_.monitor.unhealthy_threshold = 1'000'000;  // so that health checks take nobody out
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

}  // namespace
}  // namespace kvasir
