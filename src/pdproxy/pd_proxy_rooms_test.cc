// Prompts that share the steps of a prefill engine whose store takes whole prompts only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "legs/leg_worker_fixture.h"
#include "net/http/http_fixture.h"
#include "pdproxy/pd_proxy.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::StartsWith;

class SilentPdProbe final : public PdProxyProbe {
 public:
  void on_done(const PdReport& report) override { statuses.push_back(report.legs.status); }
  void on_refused(int status, std::string_view) override { statuses.push_back(status); }
  void on_prefill_ended(const PdWorker&, LegsObserver::End) override {}
  void on_decoder_failed(const PdWorker&) override {}
  void on_heard(PdWorkers::Heard, const P2pRegistration&) override {}
  void on_malformed(std::string_view) override {}
  void on_expired(const PdWorker&) override {}
  std::string page(const PdWorkers&, size_t waiting, TimePoint) override {
    return "waiting " + std::to_string(waiting) + "\n";
  }

  std::vector<int> statuses;  // of requests that are over
};

// A step takes 100 tokens.
class PdProxyRoomsTest : public ::testing::Test {
 protected:
  PdProxyRoomsTest() {
    options_.prefill = {{prefill_.host_port(), "p"}};
    options_.decode = {{decode_.host_port(), "d"}};
    options_.fs_prompt_tokens_max = 100;
    prefill_.holds = other_.holds = true;
  }
  void start() {
    options_.host = "127.0.0.1";
    options_.port = 0;
    options_.server.half_close_patience = std::chrono::milliseconds(10);
    proxy_ = std::move(PdProxy::create(*loop_, options_, probe_).value());
  }
  void add_other() { options_.prefill.push_back({other_.host_port(), "o"}); }
  static std::string prompt(int name, int tokens) {
    std::string ids = std::to_string(name);
    for (int i = 1; i < tokens; ++i) ids += "," + std::to_string(name);
    return R"({"prompt":[)" + ids + "]}";
  }
  // A request whose prompt is `tokens` times the token `name`.
  RawClient& ask(int name, int tokens) {
    const std::string body = prompt(name, tokens);
    clients_.push_back(std::make_unique<RawClient>(proxy_->port()));
    clients_.back()->send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body);
    return *clients_.back();
  }
  // The same, and it waits for room.
  RawClient& ask_and_wait(int name, int tokens) {
    const size_t waiting = proxy_->rooms().waiting();
    RawClient& client = ask(name, tokens);
    until([&] { return proxy_->rooms().waiting() == waiting + 1; });
    return client;
  }
  template <class Condition>
  void until(const Condition& done) {
    while (!done()) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
  }
  void until_sent(LegWorkerFixture& worker, int name) {
    until([&worker, start = R"({"prompt":[)" + std::to_string(name) + ","] {
      return worker.body.starts_with(start);
    });
  }
  void until_over(size_t requests) {
    until([&] { return probe_.statuses.size() == requests; });
  }
  void nothing_is_left() {
    for (const PdWorkers::Listed& each : proxy_->workers().list()) {
      EXPECT_EQ(each.worker->prompt_tokens, 0u);
    }
    EXPECT_EQ(proxy_->rooms().waiting(), 0u);
  }

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  LegWorkerFixture prefill_{*loop_}, other_{*loop_}, decode_{*loop_};
  SilentPdProbe probe_;
  PdProxyOptions options_;
  std::unique_ptr<PdProxy> proxy_;
  std::vector<std::unique_ptr<RawClient>> clients_;
};

TEST_F(PdProxyRoomsTest, TheSecondLongPromptIsSentWhenTheFirstOneIsDone) {
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  ask_and_wait(2, 60);
  ask_and_wait(3, 30);
  EXPECT_EQ(prefill_.requests, 1);
  prefill_.answer_held();
  until([&] { return prefill_.requests == 3; });
  EXPECT_THAT(prefill_.body, StartsWith(R"({"prompt":[3,)")) << "both fit, in their order";
  prefill_.answer_held();
  prefill_.answer_held();
  until_over(3);
  EXPECT_EQ(probe_.statuses, std::vector<int>(3, 200));
  EXPECT_EQ(decode_.requests, 3);
  nothing_is_left();
}

TEST_F(PdProxyRoomsTest, WithoutALimitNobodyWaits) {
  options_.fs_prompt_tokens_max = 0;
  start();
  for (int i = 1; i <= 3; ++i) ask(i, 90);
  until([&] { return prefill_.requests == 3; });
}

TEST_F(PdProxyRoomsTest, CountedPromptsTakeTheRoomOfTheirCount) {
  options_.fs_prompt_tokens_max = 600;
  start();
  prefill_.pages["/tokenize"] = R"({"count":400,"max_model_len":4096,"tokens":[]})";
  const std::string body = R"({"model":"m","prompt":")" + std::string(800, 'a') + "\"}";
  RawClient client(proxy_->port());
  client.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  until([&] { return prefill_.requests == 1; });
  EXPECT_EQ(proxy_->workers().list().front().worker->prompt_tokens, 400u);
  ask(1, 200);
  until([&] { return prefill_.requests == 2; });
  ask_and_wait(2, 1);
}

// What ends the first leg: the worker's error, a broken connection, its client, the deadline.
TEST_F(PdProxyRoomsTest, RoomComesBackHoweverALegEnds) {
  start();
  RawClient* const first = &ask(1, 60);
  until_sent(prefill_, 1);
  ask_and_wait(2, 60);
  ask_and_wait(3, 60);
  ask_and_wait(4, 60);
  first->close();
  until_sent(prefill_, 2);
  prefill_.status = 500;
  prefill_.answer_held();
  until_sent(prefill_, 3);
  prefill_.status = 200;
  prefill_.streams = prefill_.breaks = true;
  prefill_.answer_held();
  until_sent(prefill_, 4);
  prefill_.streams = prefill_.breaks = false;
  prefill_.answer_held();
  until_over(4);
  EXPECT_EQ(probe_.statuses, (std::vector<int>{499, 500, 502, 200}));
  nothing_is_left();
}

TEST_F(PdProxyRoomsTest, RoomComesBackFromALegThatIsTooLate) {
  options_.handoff.prefill_deadline = std::chrono::milliseconds(50);
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  ask(2, 60);
  until_sent(prefill_, 2);
  until_over(2);
  EXPECT_EQ(probe_.statuses, std::vector<int>(2, 504));
  nothing_is_left();
}

TEST_F(PdProxyRoomsTest, TwoWorkersShareThePrompts) {
  add_other();
  start();
  ask(1, 90);
  until_sent(prefill_, 1);
  ask(2, 90);
  until_sent(other_, 2);
  ask_and_wait(3, 90);
  other_.answer_held();
  until_sent(other_, 3);
  EXPECT_EQ(prefill_.requests, 1);
}

// Whose first worker failed waits for room at the next one, too.
TEST_F(PdProxyRoomsTest, TheNextWorkerIsAskedWhenItHasRoom) {
  add_other();
  other_.holds = false;
  other_.status = 500;
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  ask(2, 60);
  until([&] { return other_.requests == 1 && proxy_->rooms().waiting() == 1; });
  EXPECT_EQ(prefill_.requests, 1);
  prefill_.answer_held();
  until_sent(prefill_, 2);
  prefill_.answer_held();
  until_over(2);
  EXPECT_EQ(probe_.statuses, std::vector<int>(2, 200));
  nothing_is_left();
}

TEST_F(PdProxyRoomsTest, WhoCannotWaitIsToldToComeAgain) {
  options_.fs_waiting_max = 1;
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  ask_and_wait(2, 60);
  RawClient& third = ask(3, 60);
  until_over(1);
  until([&] { return third.received().find("--fs-max-waiting") != std::string::npos; });
  EXPECT_THAT(third.received(), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(third.received(), HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(third.received(), HasSubstr("no room for this one"));
  EXPECT_EQ(prefill_.requests, 1);
  prefill_.holds = false;  // its page, too
  RawClient page(proxy_->port());
  page.send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  until([&] { return page.received().find("waiting 1\n") != std::string::npos; });
}

TEST_F(PdProxyRoomsTest, NobodyWaitsForEver) {
  options_.fs_wait_max = std::chrono::milliseconds(50);
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  RawClient& second = ask(2, 60);
  until_over(1);
  until([&] { return second.received().find("--fs-wait") != std::string::npos; });
  EXPECT_THAT(second.received(), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(second.received(), HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(prefill_.requests, 1);
  EXPECT_EQ(decode_.requests, 0);
}

TEST_F(PdProxyRoomsTest, ANextWorkerWithoutRoomIsAnErrorThatPasses) {
  add_other();
  options_.fs_wait_max = std::chrono::milliseconds(50);
  other_.holds = false;
  other_.status = 500;
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  RawClient& client = ask(2, 60);
  until_over(1);
  EXPECT_EQ(probe_.statuses.front(), 503);
  until([&] { return !client.received().empty(); });
  EXPECT_THAT(client.received(), HasSubstr("Retry-After: 1\r\n"));
  EXPECT_EQ(prefill_.requests, 1);
}

TEST_F(PdProxyRoomsTest, AClientThatLeavesLeavesTheQueue) {
  start();
  ask(1, 60);
  until_sent(prefill_, 1);
  RawClient& second = ask_and_wait(2, 60);
  ask_and_wait(3, 40);
  EXPECT_EQ(prefill_.requests, 1);
  second.close();
  until_sent(prefill_, 3);
  EXPECT_EQ(prefill_.requests, 2) << "the one that left is never sent";
}

}  // namespace
}  // namespace kvasir
