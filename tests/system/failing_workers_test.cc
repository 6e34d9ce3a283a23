// Workers that fail, and what clients of a gateway with default flags notice of it.
#include "failing_workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr size_t kWorkers = 8;
constexpr char kBody[] = R"({"model": "m", "prompt": "one two three"})";

class FailingWorkers : public ::testing::TestWithParam<const char*> {
 protected:
  FailingWorkers() : loop_(std::move(EventLoop::create().value())) {}
  ~FailingWorkers() override {
    gateway_.reset();
    workers_.clear();
  }

  void start(size_t workers, std::vector<std::string> flags = {}) {
    std::vector<HostPort> origins;
    for (size_t i = 0; i < workers; ++i) {
      workers_.push_back(std::make_unique<FailingWorker>(*loop_));
      origins.push_back(workers_.back()->origin());
    }
    flags.insert(flags.end(), {"--policy", GetParam(), "--threads", "2"});
    gateway_ = std::make_unique<RunningGateway>(*loop_, origins, std::move(flags));
    ASSERT_TRUE(gateway_->wait_until_healthy(workers)) << gateway_->log();
  }
  void wait(Duration time) {
    const TimePoint end = SteadyClock().now() + time;
    gateway_->wait_until([&] { return SteadyClock().now() >= end; });
  }

  std::unique_ptr<EventLoop> loop_;
  std::vector<std::unique_ptr<FailingWorker>> workers_;
  std::unique_ptr<RunningGateway> gateway_;
};

TEST_P(FailingWorkers, OneOfEightAnswers500AtOnceAndHardlyAnybodyNotices) {
  start(kWorkers);
  for (auto& worker : workers_) worker->answer_delay = milliseconds(10);
  workers_[3]->fails = true;
  const std::map<int, int> statuses = gateway_->send(1000, 16, kBody);
  EXPECT_GE(statuses.at(200), 995) << gateway_->log();
  EXPECT_GT(workers_[3]->failed, 0);
  EXPECT_LE(workers_[3]->failed, 100) << "failing fast draws no traffic";
}

TEST_P(FailingWorkers, EachAttemptHasALineInTheDecisionLogAndEachEndOneInTheLog) {
  start(2, {"--decision-log", "json", "--log-level", "debug"});
  for (auto& worker : workers_) worker->fails = true;
  EXPECT_THAT(gateway_->send(1, 1, kBody), ElementsAre(Pair(500, 1)));
  const auto has = [this](const std::string& text) {
    return gateway_->wait_until([&] { return gateway_->log().find(text) != std::string::npos; });
  };
  EXPECT_TRUE(has("\"component\":\"gateway\",\"message\":\"picked\",\"request_id\":\""));
  EXPECT_TRUE(has("\"model\":\"m\",\"target_model\":\"m\",\"fairness_id\":\"default-flow\""));
  EXPECT_TRUE(has("\"attempt\":2,\"selected_pod\":\"127.0.0.1:"));
  EXPECT_TRUE(has(" is over: status 500 at 127.0.0.1:")) << gateway_->log();
  if (GetParam() == std::string("kv")) {
    EXPECT_TRUE(has("\"predicted_prefill\":"));
  }
}

TEST_P(FailingWorkers, WithoutRetriesAndEjectionAFailureIsStillNoSignOfSpeed) {
  start(2, {"--no-retry-on-5xx", "--no-eject-outliers"});
  workers_[1]->answer_delay = milliseconds(10);
  workers_[0]->fails = true;
  const std::map<int, int> statuses = gateway_->send(64, 4, kBody);
  EXPECT_GE(statuses.at(200), 32) << "one of two fails: no more than its share";
}

TEST_P(FailingWorkers, OneThatSays200AndFailsAtOnceDrawsNoTraffic) {
  for (const char* error :
       {"data: {\"error\": {\"code\": 500}}\n\n", "{\"object\": \"error\"}", ""}) {
    for (const bool helped : {true, false}) {
      workers_.clear();
      start(2, helped ? std::vector<std::string>{}
                      : std::vector<std::string>{"--no-retry-on-5xx", "--no-eject-outliers"});
      workers_[0]->fails_with = error;
      workers_[1]->answer_delay = milliseconds(20);
      EXPECT_THAT(gateway_->send(40, 4, kBody), ElementsAre(Pair(200, 40)));
      if (helped) {
        EXPECT_EQ(workers_[1]->requests, 40) << error;
      }
      EXPECT_GE(workers_[1]->requests, 20) << error;
      EXPECT_GE(workers_[0]->failed, 1) << error;
      gateway_.reset();
    }
  }
}

TEST_P(FailingWorkers, WhatAFullWorkerTurnsAwayAFreeOneTakes) {
  start(3);
  for (auto& worker : workers_) worker->answer_delay = milliseconds(10);
  workers_[1]->is_full = true;
  EXPECT_THAT(gateway_->send(200, 8, kBody), ElementsAre(Pair(200, 200))) << gateway_->log();
  EXPECT_GE(workers_[1]->failed, 1);
  EXPECT_LE(workers_[1]->failed, 100) << "turning away fast draws no traffic";
  EXPECT_EQ(gateway_->metric("kvasir_gateway_upstream_healthy"), 3);
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("ejected")));
  for (auto& worker : workers_) worker->is_full = true;
  const int before = workers_[0]->failed + workers_[1]->failed + workers_[2]->failed;
  EXPECT_THAT(gateway_->send(20, 4, kBody), ElementsAre(Pair(429, 20)));
  EXPECT_LE(workers_[0]->failed + workers_[1]->failed + workers_[2]->failed, before + 40)
      << "one more each, at most";
}

TEST_P(FailingWorkers, FourStaleConnectionsToEachWorkerFailNobody) {
  start(kWorkers, {"--no-hold"});
  for (auto& worker : workers_) worker->holds = true;
  std::vector<std::shared_ptr<RunningGateway::Reply>> replies;
  ASSERT_TRUE(gateway_->wait_until([&] {
    const bool filled = std::all_of(workers_.begin(), workers_.end(),
                                    [](const auto& worker) { return worker->held() >= 4; });
    if (!filled && replies.size() < 200) replies.push_back(gateway_->begin(kBody));
    return filled;
  }));
  for (auto& worker : workers_) worker->let_go();
  ASSERT_TRUE(gateway_->wait_until([&] {
    return std::all_of(replies.begin(), replies.end(),
                       [](const auto& reply) { return reply->over; });
  }));
  for (auto& worker : workers_) worker->forget_connections();
  EXPECT_THAT(gateway_->send(64, 16, kBody), ElementsAre(Pair(200, 64))) << gateway_->log();
  EXPECT_EQ(gateway_->metric("kvasir_gateway_upstream_healthy"), kWorkers);
  EXPECT_EQ(gateway_->metric("kvasir_gateway_upstream_retries_total"), 0);
}

TEST_P(FailingWorkers, PoisonHarmsNobodyElse) {
  start(kWorkers);
  std::vector<std::shared_ptr<RunningGateway::Reply>> poison;
  const auto send_poison = [&] {
    poison.push_back(
        gateway_->begin(R"({"prompt": "poison )" + std::to_string(poison.size()) + "\"}"));
  };
  const auto all_over = [&] {
    return std::all_of(poison.begin(), poison.end(), [](const auto& reply) { return reply->over; });
  };
  for (int i = 0; i < 20; ++i) {  // one after another, between others' requests
    send_poison();
    EXPECT_THAT(gateway_->send(10, 4, kBody), ElementsAre(Pair(200, 10)));
    ASSERT_TRUE(gateway_->wait_until(all_over));
  }
  for (int i = 0; i < 20; ++i) send_poison();  // all at once
  EXPECT_THAT(gateway_->send(200, 8, kBody), ElementsAre(Pair(200, 200)));
  ASSERT_TRUE(gateway_->wait_until(all_over));
  for (const auto& reply : poison) EXPECT_EQ(reply->status, 502);

  std::map<std::string, int> workers_hit;
  for (const auto& worker : workers_) {
    for (const std::string& body :
         std::set<std::string>(worker->poisoned.begin(), worker->poisoned.end())) {
      ++workers_hit[body];
    }
  }
  EXPECT_EQ(workers_hit.size(), 40u);
  for (const auto& [body, count] : workers_hit) EXPECT_LE(count, 2) << body;
  EXPECT_EQ(gateway_->metric("kvasir_gateway_upstream_healthy"), kWorkers);
  EXPECT_EQ(gateway_->metric("kvasir_gateway_poison_requests_total"), 40);
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("unhealthy")));
  // Nobody was ejected: every worker serves.
  std::vector<int> before;
  for (const auto& worker : workers_) before.push_back(worker->requests);
  wait(milliseconds(200));  // what a failure keeps requests away for
  EXPECT_THAT(gateway_->send(64, 16, kBody), ElementsAre(Pair(200, 64)));
  for (size_t i = 0; i < kWorkers; ++i) EXPECT_GT(workers_[i]->requests, before[i]) << i;
}

TEST_P(FailingWorkers, AWorkerWhoseHealthTakesFiveSecondsServesOn) {
  start(2);
  workers_[0]->health_delay = seconds(5);
  std::map<int, int> statuses;
  const TimePoint end = SteadyClock().now() + seconds(7);
  while (SteadyClock().now() < end) {
    for (const auto& [status, count] : gateway_->send(4, 2, kBody)) statuses[status] += count;
    wait(milliseconds(50));
  }
  EXPECT_EQ(statuses.size(), 1u);
  EXPECT_EQ(statuses.begin()->first, 200);
  EXPECT_EQ(gateway_->metric("kvasir_gateway_upstream_healthy"), 2);
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("unhealthy")));
  const int before = workers_[0]->requests;
  gateway_->send(8, 4, kBody);
  EXPECT_GT(workers_[0]->requests, before);
}

INSTANTIATE_TEST_SUITE_P(Policies, FailingWorkers,
                         ::testing::Values("kv", "least-load", "round-robin", "load-cost"),
                         [](const auto& policy) {
                           std::string name = policy.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(SlowWorkers, WhenEveryHealthCheckTakesFiveSecondsRequestsAreServedAllTheSame) {
  const auto loop = std::move(EventLoop::create().value());
  FailingWorker a(*loop), b(*loop);
  a.health_delay = b.health_delay = seconds(5);  // from the beginning
  RunningGateway gateway(*loop, {a.origin(), b.origin()}, {});
  // Until something is known of them they are not tried; that they take connections is known soon.
  EXPECT_TRUE(gateway.wait_until([&] { return gateway.send(1, 1, kBody).count(200) == 1; }));
  EXPECT_THAT(gateway.send(100, 4, kBody), ElementsAre(Pair(200, 100))) << gateway.log();
}

// Simulated workers as processes, of which one is stopped as a debugger or a full disk would.
TEST(FrozenWorkers, RequestsOfAWorkerThatIsStoppedAreAnsweredByAnother) {
  const auto loop = std::move(EventLoop::create().value());
  std::vector<std::unique_ptr<Process>> processes;
  std::vector<HostPort> origins;
  for (int i = 0; i < 2; ++i) {
    const uint16_t port = local_port(listen_tcp("127.0.0.1", 0, false).value());
    origins.push_back({"127.0.0.1", port});
    Process::Command command;
    command.binary = std::getenv("KVASIR_BINARY");
    command.arguments = {"worker", "--host", "127.0.0.1", "--port", std::to_string(port)};
    command.log_file = "/dev/null";
    processes.push_back(
        std::move(Process::start(*loop, command, [](const std::string&) {}).value()));
  }
  RunningGateway gateway(*loop, origins, {"--policy", "round-robin"});
  ASSERT_TRUE(gateway.wait_until_healthy(2)) << gateway.log();
  processes[0]->signal(SIGSTOP);
  const std::string body = R"({"prompt": "one two three", "max_tokens": 4})";
  std::vector<std::shared_ptr<RunningGateway::Reply>> replies;
  for (int i = 0; i < 4; ++i) replies.push_back(gateway.begin(body));
  EXPECT_TRUE(gateway.wait_until(
      [&] {
        return std::all_of(replies.begin(), replies.end(),
                           [](const auto& reply) { return reply->over; });
      },
      seconds(20)));
  for (const auto& reply : replies) {
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->endpoint, to_string(origins[1]));
  }
  EXPECT_EQ(gateway.metric("kvasir_gateway_retries_total"), 2);
  processes[0]->signal(SIGCONT);
  EXPECT_TRUE(gateway.wait_until_healthy(2));
}

}  // namespace
}  // namespace kvasir
