// Kept-alive connections that their server closed: the client's pool against a server of raw
// sockets.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kGood[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Answers so many requests on each connection; the next one it reads and closes the connection.
class ForgetfulServer final : public IoHandler {
 public:
  explicit ForgetfulServer(EventLoop& loop)
      : loop_(loop), listener_(listen_tcp("127.0.0.1", 0, false).value()) {
    loop_.watch(listener_.get(), EPOLLIN, *this);
  }
  ~ForgetfulServer() override {
    connections_.clear();
    close_listener();
  }
  void close_listener() {
    if (!listener_.open()) return;
    loop_.unwatch(listener_.get(), *this);
    listener_ = Descriptor();
  }
  SocketAddress address() const { return resolve("127.0.0.1", local_port(listener_)).value(); }

  void on_io(uint32_t) override {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) return;
    ++accepted;
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }

  int answers_per_connection = 1;
  bool mute = false;  // reads and says nothing
  int accepted = 0;
  int requests = 0;

 private:
  struct Connection final : IoHandler {
    Connection(ForgetfulServer& owner, Descriptor taken) : server(owner), socket(std::move(taken)) {
      server.loop_.watch(socket.get(), EPOLLIN, *this);
    }
    ~Connection() override { close(); }
    void close() {
      if (!socket.open()) return;
      server.loop_.unwatch(socket.get(), *this);
      socket = Descriptor();
    }
    void on_io(uint32_t) override {
      char buffer[4096];
      const ssize_t count = recv(socket.get(), buffer, sizeof buffer, 0);
      if (count <= 0) return close();
      ++server.requests;
      if (server.mute) return;
      if (answered++ >= server.answers_per_connection) return close();
      EXPECT_GT(send(socket.get(), kGood, sizeof kGood - 1, MSG_NOSIGNAL), 0);
    }
    ForgetfulServer& server;
    Descriptor socket;
    int answered = 0;
  };

  EventLoop& loop_;
  Descriptor listener_;
  std::list<std::unique_ptr<Connection>> connections_;
};

struct Outcome final : HttpCallObserver {
  explicit Outcome(int& open_calls) : open(open_calls) { ++open; }
  void on_head(const HttpHead& head) override { status = head.status(); }
  void on_end() override { --open; }
  void on_failure(const HttpFailure& reason) override {
    failure = reason;
    --open;
  }
  int& open;
  int status = 0;
  std::optional<HttpFailure> failure;
};

class StaleConnection : public ::testing::Test {
 protected:
  StaleConnection()
      : loop_(std::move(EventLoop::create().value())),
        server_(*loop_),
        client_(std::make_unique<HttpClient>(*loop_, server_.address())) {}

  // Runs until all calls are over.
  void finish() {
    run_until([this] { return open_ == 0; });
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
  }
  // That many kept-alive connections, used once.
  void fill_pool(int connections) {
    std::list<Outcome> calls;
    for (int i = 0; i < connections; ++i) {
      client_->start(kGet, {}, calls.emplace_back(open_), false, true);
    }
    finish();
    for (const Outcome& call : calls) ASSERT_EQ(call.status, 200);
  }

  int open_ = 0;
  std::unique_ptr<EventLoop> loop_;
  ForgetfulServer server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(StaleConnection, IsReplacedByANewOneAndTheCallHearsNothingOfIt) {
  fill_pool(1);
  Outcome call(open_);
  client_->start(kGet, {}, call);
  finish();
  EXPECT_EQ(call.status, 200);
  EXPECT_FALSE(call.failure);
  EXPECT_EQ(server_.accepted, 2);
}

TEST_F(StaleConnection, TakesThoseThatWereIdleForLongerWithIt) {
  fill_pool(4);
  ASSERT_EQ(client_->connections(), 4u);
  Outcome call(open_);
  client_->start(kGet, {}, call);
  finish();
  EXPECT_EQ(call.status, 200);
  EXPECT_EQ(server_.requests, 4 + 2) << "one stale connection is enough to know";
  EXPECT_EQ(client_->connections(), 1u);
}

TEST_F(StaleConnection, ANewConnectionThatIsClosedIsAFailureAndToldToHaveBeenSentTwice) {
  fill_pool(1);
  server_.answers_per_connection = 0;
  Outcome call(open_);
  client_->start(kGet, {}, call);
  finish();
  ASSERT_TRUE(call.failure);
  EXPECT_EQ(call.failure->kind, HttpFailure::Kind::kClosed);
  EXPECT_TRUE(call.failure->resent);
  EXPECT_EQ(server_.requests, 1 + 2) << "sent again once, not for ever";
}

TEST_F(StaleConnection, AServerThatIsGoneIsAFailedConnect) {
  fill_pool(1);
  server_.close_listener();
  Outcome call(open_);
  client_->start(kGet, {}, call);
  finish();
  ASSERT_TRUE(call.failure);
  EXPECT_EQ(call.failure->kind, HttpFailure::Kind::kConnect);
  EXPECT_TRUE(call.failure->resent);
}

TEST_F(StaleConnection, AFreshConnectionIsNeverStale) {
  fill_pool(1);
  server_.answers_per_connection = 0;
  Outcome call(open_);
  client_->start(kGet, {}, call, false, true);
  finish();
  ASSERT_TRUE(call.failure);
  EXPECT_EQ(call.failure->kind, HttpFailure::Kind::kClosed);
  EXPECT_FALSE(call.failure->resent);
  EXPECT_EQ(server_.requests, 2);
}

TEST_F(StaleConnection, AConnectionThatIsClosedLateIsNotStale) {
  HttpClientLimits limits;
  limits.stale_within = Duration::zero();
  client_ = std::make_unique<HttpClient>(*loop_, server_.address(), limits);
  fill_pool(1);
  Outcome call(open_);
  client_->start(kGet, {}, call);
  finish();
  ASSERT_TRUE(call.failure);
  EXPECT_EQ(call.failure->kind, HttpFailure::Kind::kClosed);
}

TEST_F(StaleConnection, WhatMayBeSentAgainIsKept) {
  fill_pool(1);
  server_.mute = true;
  Outcome call(open_);
  HttpCall& pending = client_->start(kGet, {}, call);
  run_until([&] { return server_.requests == 2; });
  EXPECT_FALSE(pending.request_sent()) << "the server may close this old connection";
  pending.cancel();
  Outcome fresh(open_);
  HttpCall& other = client_->start(kGet, {}, fresh, false, true);
  run_until([&] { return server_.requests == 3; });
  EXPECT_TRUE(other.request_sent());
  other.cancel();
}

}  // namespace
}  // namespace kvasir
