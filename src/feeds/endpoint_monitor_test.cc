// Health checks of fake workers, all on one loop.
#include "feeds/endpoint_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "fleet/fleet.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CheckedWorker final : public HttpHandler, private HttpExchange::Observer {
 public:
  explicit CheckedWorker(EventLoop& loop)
      : loop_(loop), listener_(listen_tcp("127.0.0.1", 0, false).value()) {
    port_ = local_port(listener_);
    server_ = std::make_unique<HttpServer>(loop, std::move(listener_), *this);
  }
  ~CheckedWorker() override { loop_.cancel(timer_); }

  void on_request(HttpExchange& exchange) override {
    paths.emplace_back(exchange.head().path());
    if (exchange.head().path() == "/metrics") return exchange.respond(200, "", "");
    ++checks;
    waiting_ = &exchange;
    exchange.set_observer(this);
    if (mute) return;
    timer_ = loop_.after(delay, [this] {
      if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->respond(status, "", "");
    });
  }
  void on_client_gone() override { waiting_ = nullptr; }
  Refusal on_refused(int, std::string_view) override { return {}; }
  void close() { server_.reset(); }
  uint16_t port() const { return port_; }

  int status = 200;
  bool mute = false;
  Duration delay{};
  int checks = 0;
  std::vector<std::string> paths;

 private:
  EventLoop& loop_;
  Descriptor listener_;
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
  HttpExchange* waiting_ = nullptr;
  TimerId timer_ = kNoTimer;
};

class EndpointMonitorTest : public ::testing::Test, public MonitorProbe {
 protected:
  EndpointMonitorTest() : loop_(std::move(EventLoop::create().value())), worker_(*loop_) {
    options_.interval = options_.first_interval = milliseconds(2);
  }

  void start(std::map<std::string, std::string> labels = {}) {
    Endpoint endpoint{"w", "127.0.0.1", worker_.port(), {}};
    for (auto& [key, value] : labels) endpoint.labels[key] = value;
    fleet_.add(std::move(endpoint));
    monitor_ = std::make_unique<EndpointMonitor>(*loop_, fleet_, addresses_, *this, options_,
                                                 [this](EndpointId) { ++still_down; });
  }
  void on_health_changed(const Endpoint&, bool healthy) override {
    changes.push_back(healthy ? "up" : "down");
  }
  void on_check_failed(const Endpoint&, std::string_view path, std::string_view why) override {
    failures.push_back(std::string(path) + ": " + std::string(why));
  }
  bool happens(const std::function<bool()>& done) {
    const TimePoint deadline = SteadyClock().now() + seconds(10);
    while (!done() && SteadyClock().now() < deadline) {
      const TimerId tick = loop_->after(milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
    return done();
  }
  const EndpointState state() { return fleet_.snapshot()->endpoints[0]; }
  bool becomes_healthy() {
    return happens([this] { return state().healthy; });
  }
  bool becomes_unhealthy() {
    return happens([this] { return !state().healthy; });
  }

  std::unique_ptr<EventLoop> loop_;
  Fleet fleet_{1};
  AddressBook addresses_;
  CheckedWorker worker_;
  MonitorOptions options_;
  std::unique_ptr<EndpointMonitor> monitor_;
  std::vector<std::string> changes, failures;
  int still_down = 0;
};

TEST_F(EndpointMonitorTest, AnUnhealthyWorkerIsReachableAndTheReasonIsToldOnce) {
  worker_.status = 503;
  start();
  EXPECT_TRUE(happens([this] { return worker_.checks >= 5; }));
  EXPECT_FALSE(state().healthy);
  EXPECT_TRUE(state().reachable);
  EXPECT_EQ(state().rank(), EndpointState::Rank::kReachable);
  EXPECT_THAT(failures, ElementsAre("/health: status 503"));
  EXPECT_TRUE(monitor_->settled());
}

TEST_F(EndpointMonitorTest, AWorkerThatRefusesConnectionsIsNotReachable) {
  start();
  EXPECT_TRUE(becomes_healthy());
  worker_.close();
  EXPECT_TRUE(becomes_unhealthy());
  EXPECT_TRUE(happens([this] { return !state().reachable; }));
  EXPECT_EQ(state().rank(), EndpointState::Rank::kOut);
}

TEST_F(EndpointMonitorTest, NobodyIsReachableWhenTheUnhealthyAreToBeRefused) {
  options_.try_unhealthy = false;
  worker_.status = 503;
  start();
  EXPECT_TRUE(happens([this] { return worker_.checks >= 3; }));
  EXPECT_EQ(state().rank(), EndpointState::Rank::kOut);
}

TEST_F(EndpointMonitorTest, AnAnswerThatIsLateShowsThatTheWorkerLives) {
  options_.rules.timeout = milliseconds(100);
  worker_.delay = milliseconds(150);
  start();
  EXPECT_TRUE(becomes_healthy()) << "it was late from the beginning, and nothing else is known";
  // From now on it has the time it takes.
  const int checks = worker_.checks;
  EXPECT_TRUE(happens([&] { return worker_.checks >= checks + 3; }));
  EXPECT_THAT(changes, ElementsAre("up"));
}

TEST_F(EndpointMonitorTest, AFrozenWorkerGoesDownIsToldAgainAndStaysReachable) {
  options_.rules.timeout = milliseconds(5);
  start();
  EXPECT_TRUE(becomes_healthy());
  worker_.mute = true;
  EXPECT_TRUE(becomes_unhealthy());
  EXPECT_TRUE(state().reachable);
  EXPECT_TRUE(happens([this] { return still_down >= 3; }));
  worker_.mute = false;
  EXPECT_TRUE(becomes_healthy());
  EXPECT_THAT(changes, ElementsAre("up", "down", "up"));
}

TEST_F(EndpointMonitorTest, AWorkerThatAnswersRequestsIsNotTakenOutBySlowChecks) {
  // Requests are answered each millisecond; a busy machine may keep this process from its turn for
  // longer.
  options_.rules.timeout = milliseconds(100);
  start();
  EXPECT_TRUE(becomes_healthy());
  worker_.mute = true;
  const TimePoint enough = SteadyClock().now() + milliseconds(350);
  EXPECT_TRUE(happens([&] {
    monitor_->report_served(EndpointId(0));
    return SteadyClock().now() >= enough;
  }));
  EXPECT_THAT(changes, ElementsAre("up"));
  EXPECT_THAT(failures, IsEmpty());
}

TEST_F(EndpointMonitorTest, AServedRequestBringsAWorkerBackWhoseChecksAreSilent) {
  options_.rules.timeout = seconds(10);
  worker_.mute = true;
  start();
  EXPECT_TRUE(happens([this] { return worker_.checks == 1; }));
  monitor_->report_served(EndpointId(0));
  EXPECT_TRUE(becomes_healthy());
}

TEST_F(EndpointMonitorTest, TroubleOfARequestIsCheckedAtOnce) {
  options_.interval = seconds(1000);
  start();
  EXPECT_TRUE(becomes_healthy());
  ASSERT_EQ(worker_.checks, 1);
  monitor_->report_closed(EndpointId(0));
  EXPECT_TRUE(happens([this] { return worker_.checks == 2; }));
  EXPECT_TRUE(state().healthy) << "its check was answered";
  worker_.close();
  monitor_->report_closed(EndpointId(0));
  EXPECT_TRUE(becomes_unhealthy()) << "two checks, without waiting for the interval";
}

TEST_F(EndpointMonitorTest, AFailedConnectAloneTakesNobodyOut) {
  options_.interval = options_.first_interval = seconds(1000);
  start();
  EXPECT_TRUE(becomes_healthy());
  bool later = false;
  for (int i = 0; i < 20; ++i) monitor_->report_connect_failure(EndpointId(0));
  loop_->post([&] { later = true; });
  EXPECT_TRUE(happens([&] { return later; }));
  EXPECT_TRUE(state().healthy) << "no check has confirmed it";
}

TEST_F(EndpointMonitorTest, EnginesAreAskedWhereTheirHealthIs) {
  start({{"llm-d.ai/engine-type", "triton"}});
  EXPECT_TRUE(becomes_healthy());
  EXPECT_EQ(worker_.paths.front(), "/v2/health/ready");
}

TEST_F(EndpointMonitorTest, ThePathCanBeChosen) {
  options_.path = "/ping";
  worker_.status = 204;
  start({{"llm-d.ai/engine-type", "vllm"}});
  EXPECT_TRUE(becomes_healthy());
  EXPECT_EQ(worker_.paths.front(), "/ping");
}

}  // namespace
}  // namespace kvasir
