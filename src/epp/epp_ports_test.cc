// What the picker's ports speak.
#include "epp/exchange_fixture.h"
#include "net/grpc/grpc_client.h"
#include "net/http/http_client.h"

namespace kvasir {
namespace {

struct HealthCall final : GrpcClientCall::Observer {
  explicit HealthCall(EventLoop& event_loop) : loop(event_loop) {}
  void on_message(std::string_view bytes) override { message = bytes; }
  void on_end(const GrpcStatus& ended) override {
    status = ended;
    loop.stop();
  }
  EventLoop& loop;
  std::string message;
  GrpcStatus status;
};

struct PageCall final : HttpCallObserver {
  explicit PageCall(EventLoop& event_loop) : loop(event_loop) {}
  void on_head(const HttpHead& head) override { text = std::to_string(head.status()) + " "; }
  void on_body(std::string_view bytes) override { text += bytes; }
  void on_end() override { loop.stop(); }
  void on_failure(const HttpFailure& failure) override {
    text = failure.message;
    loop.stop();
  }
  EventLoop& loop;
  std::string text;
};

class EppPortsTest : public ExchangeTest {
 protected:
  // The HealthCheckResponse's status; nothing when there was no such answer.
  std::optional<int> ask_without_tls(uint16_t port, const std::string& service = "") {
    GrpcClient client(*loop_, resolve("127.0.0.1", port).value(), "picker");
    HealthCall call(*loop_);
    GrpcClientCall& started =
        client.start("/grpc.health.v1.Health/Check", call, std::chrono::seconds(20));
    constexpr char kServiceTag = 1 << 3 | 2;
    const std::string message =
        service.empty() ? ""
                        : std::string{kServiceTag, static_cast<char>(service.size())} + service;
    started.send(message);
    started.half_close();
    loop_->run();
    if (!call.status.ok() || call.message.size() != 2) return std::nullopt;
    return call.message[1];
  }
  std::optional<int> health_of(const std::string& service) {
    return ask_without_tls(epp().health_port(), service);
  }
  // "STATUS BODY"
  std::string page(const std::string& path, const std::string& fields = "") {
    HttpClient client(*loop_, resolve("127.0.0.1", epp().metrics_port()).value());
    PageCall call(*loop_);
    const std::string head = "GET " + path + " HTTP/1.1\r\nHost: p\r\n" + fields + "\r\n";
    client.start(head, "", call);
    loop_->run();
    return call.text;
  }
};

constexpr int kServing = static_cast<int>(GrpcHealth::kServing);
constexpr int kNotServing = static_cast<int>(GrpcHealth::kNotServing);
constexpr const char* kExtProcService = "envoy.service.ext_proc.v3.ExternalProcessor";

TEST_F(EppPortsTest, TheHealthPortIsPlainAlsoWhenExtProcIsNot) {
  options_.secure = true;
  EXPECT_EQ(ask_without_tls(epp().health_port()), static_cast<int>(GrpcHealth::kServing));
  EXPECT_EQ(ask_without_tls(epp().grpc_port()), std::nullopt) << "this one is encrypted";
}

TEST_F(EppPortsTest, WithoutTlsBothPortsTellTheHealth) {
  EXPECT_EQ(ask_without_tls(epp().health_port()), static_cast<int>(GrpcHealth::kServing));
  EXPECT_EQ(ask_without_tls(epp().grpc_port()), static_cast<int>(GrpcHealth::kServing));
}

TEST_F(EppPortsTest, WithoutLeaderElectionEveryNameIsTheWhole) {
  for (const char* service : {"", "readiness", "liveness", "inference-extension"}) {
    EXPECT_EQ(health_of(service), kServing) << service;
  }
  EXPECT_EQ(page("/healthz"), "200 ok\n");
  EXPECT_EQ(page("/readyz"), "200 ok\n");
}

TEST_F(EppPortsTest, UnderLeaderElectionOnlyTheLeaderIsReadyAndEveryReplicaIsAlive) {
  bool leads = false;
  options_.leads = [&leads] { return leads; };
  for (const char* service : {"", "readiness", kExtProcService}) {
    EXPECT_EQ(health_of(service), kNotServing) << service;
  }
  EXPECT_EQ(health_of("liveness"), kServing);
  EXPECT_EQ(health_of("inference-extension"), std::nullopt) << "no such service";
  EXPECT_EQ(page("/healthz"), "200 ok\n");
  EXPECT_EQ(page("/readyz"), "503 another replica leads\n");
  leads = true;
  for (const char* service : {"", "readiness", kExtProcService}) {
    EXPECT_EQ(health_of(service), kServing) << service;
  }
  EXPECT_EQ(page("/readyz"), "200 ok\n");
}

TEST_F(EppPortsTest, UntilTheEndpointsAreKnownItIsAliveAndNotReady) {
  const Descriptor silent = listen_tcp("127.0.0.1", 0, false).value();
  options_.pool.feeds.endpoints = {{"a", "127.0.0.1", local_port(silent), {}}};
  options_.pool.feeds.check_health = true;
  options_.pool.feeds.monitor.rules.timeout = std::chrono::hours(1);
  EXPECT_EQ(health_of("readiness"), kNotServing);
  EXPECT_EQ(health_of("liveness"), kServing) << "a restart finds no endpoint either";
  EXPECT_EQ(page("/readyz"), "503 the endpoints are not known yet\n");
  EXPECT_EQ(page("/healthz"), "200 ok\n");
}

TEST_F(EppPortsTest, WhoMayReadMetricsIsAskedAndMayBeSaidLater) {
  std::vector<std::string> asked;
  int verdict = 401;
  options_.authorize_metrics = [&](std::string_view authorization, std::function<void(int)> done) {
    asked.emplace_back(authorization);
    loop_->post([done, verdict] { done(verdict); });
  };
  EXPECT_THAT(page("/metrics"), ::testing::StartsWith("401 a bearer token"));
  verdict = 403;
  EXPECT_THAT(page("/metrics"), ::testing::StartsWith("403 this account may not"));
  verdict = 503;
  EXPECT_THAT(page("/metrics"), ::testing::StartsWith("503 the API server"));
  verdict = 200;
  EXPECT_EQ(page("/metrics", "Authorization: Bearer t\r\n"), "200 the page");
  EXPECT_THAT(asked, ::testing::ElementsAre("", "", "", "Bearer t"));
  EXPECT_EQ(page("/readyz"), "200 ok\n") << "probes have no token";
}

TEST_F(EppPortsTest, AReaderWhoLeavesIsForgotten) {
  std::function<void(int)> answer;
  options_.authorize_metrics = [&](std::string_view, std::function<void(int)> done) {
    answer = std::move(done);
    loop_->stop();
  };
  const uint16_t port = epp().metrics_port();
  {
    HttpClient client(*loop_, resolve("127.0.0.1", port).value());
    PageCall call(*loop_);
    client.start("GET /metrics HTTP/1.1\r\nHost: p\r\n\r\n", "", call);
    loop_->run();
  }
  EXPECT_EQ(page("/readyz"), "200 ok\n") << "meanwhile the server sees that it left";
  answer(200);
  EXPECT_EQ(page("/readyz"), "200 ok\n");
}

TEST_F(EppPortsTest, WhileItWaitsToStopItIsAliveNotReadyAndTakesStreams) {
  options_.drain_delay = std::chrono::hours(1);
  bool drained = false;
  epp().drain([&drained] { drained = true; });
  EXPECT_EQ(health_of("readiness"), kNotServing);
  EXPECT_EQ(health_of("liveness"), kServing);
  EXPECT_EQ(page("/readyz"), "503 stopping\n");
  EXPECT_EQ(ask_without_tls(epp().grpc_port()), kNotServing) << "it still takes calls";
  EXPECT_FALSE(drained);
}

}  // namespace
}  // namespace kvasir
