// For the tests of HTTP: a server and a client on one loop, and peers that send bytes as they are
// told.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/http/body_budget.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

// Answers by path: /echo the body, /stream three pieces, /hold nothing until the client leaves or
// release().
class TestHandler final : public HttpHandler, public HttpExchange::Observer {
 public:
  void on_request(HttpExchange& exchange) override {
    ++requests;
    const std::string_view path = exchange.head().path();
    if (path == "/echo") {
      const std::string body(exchange.body());
      exchange.respond(200, "Content-Type: text/plain\r\n", body);
    } else if (path == "/stream") {
      exchange.start(200, "Content-Type: text/event-stream\r\n");
      for (const char* piece : {"one", "two", "three"}) exchange.write(piece);
      exchange.finish();
    } else if (path == "/hold") {
      exchange.set_observer(this);
      held = &exchange;
    } else if (path == "/cut") {
      exchange.start(200, "");
      exchange.write("partial");
      exchange.abort();
    } else if (path == "/nothing") {
      exchange.respond(204, "", "");
    } else {
      exchange.respond(404, "", "");
    }
  }
  Refusal on_refused(int status, std::string_view) override {
    return {"", "refused " + std::to_string(status)};
  }
  void on_client_gone() override {
    ++gone;
    held = nullptr;
  }
  void on_drained() override { ++drained; }
  void release() {
    if (held != nullptr) std::exchange(held, nullptr)->respond(200, "", "late");
  }

  int requests = 0;
  int gone = 0;
  int drained = 0;
  HttpExchange* held = nullptr;
};

class Recorder final : public HttpCallObserver {
 public:
  explicit Recorder(EventLoop& loop) : loop_(loop) {}
  void on_head(const HttpHead& head) override { status = head.status(); }
  void on_body(std::string_view bytes) override {
    body += bytes;
    if (cancel_at_body) call->cancel();
    if (cancel_at_body) loop_.stop();
    if (pause_at_body) call->pause();
  }
  void on_raw(std::string_view bytes) override {
    ++reads;
    raw += bytes;
  }
  void on_end() override {
    ended = true;
    loop_.stop();
  }
  void on_failure(const HttpFailure& reason) override {
    failure = reason;
    loop_.stop();
  }

  int status = 0;
  std::string body, raw;
  int reads = 0;
  HttpCall* call = nullptr;
  bool cancel_at_body = false, pause_at_body = false;
  bool ended = false;
  std::optional<HttpFailure> failure;

 private:
  EventLoop& loop_;
};

class HttpTest : public ::testing::Test {
 protected:
  HttpTest() : loop_(std::move(EventLoop::create().value())) { start({}); }

  void start(HttpServerLimits limits) {
    server_.reset();
    server_ = std::make_unique<HttpServer>(
        *loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()), handler_, limits, &bodies_);
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", server_->port()).value());
  }

  Recorder call(std::string_view head, std::string_view body = {}, bool is_head = false) {
    Recorder recorder(*loop_);
    client_->start(head, body, recorder, is_head);
    loop_->run();
    return recorder;
  }

  // Sends `bytes` from another thread, half-closes, and returns everything that comes back.
  std::string raw_exchange(const std::string& bytes, bool half_close = true) {
    std::string answer;
    const uint16_t port = server_->port();
    std::thread peer([&] {
      const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const SocketAddress address = resolve("127.0.0.1", port).value();
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
      for (size_t sent = 0; sent < bytes.size();) {
        const ssize_t count =
            ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<size_t>(count);
      }
      if (half_close) ::shutdown(socket.get(), SHUT_WR);
      char buffer[4096];
      for (ssize_t count; (count = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
        answer.append(buffer, static_cast<size_t>(count));
      }
      loop_->stop();
    });
    loop_->run();
    peer.join();
    return answer;
  }

  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
  }

  std::unique_ptr<EventLoop> loop_;
  BodyBudget bodies_{4 * 1024 * 1024};
  TestHandler handler_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

// A client on the test's own thread, whose writes do not wait.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress address = resolve("127.0.0.1", port).value();
    ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
  }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // As much as goes without waiting.
  size_t send_some(std::string_view bytes) {
    const ssize_t sent =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    broken_ = sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK;
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  }
  bool broken() const { return broken_; }
  void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  void close() { socket_ = Descriptor(); }
  // The server sends no more.
  bool ended() {
    received();
    return ended_;
  }
  // What has come up to now.
  const std::string& received() {
    char buffer[4096];
    ssize_t count = 1;
    while (count > 0) {
      count = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) received_.append(buffer, static_cast<size_t>(count));
    }
    ended_ = count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return received_;
  }

 private:
  Descriptor socket_;
  std::string received_;
  bool ended_ = false;
  bool broken_ = false;
};

// A server of raw bytes, for the client: answers the n-th request it sees on any connection with
// the n-th text.
class RawOrigin final : public IoHandler {
 public:
  struct Reply {
    std::string bytes;
    enum class Then { kKeep, kClose, kReset } then = Then::kKeep;
  };

  explicit RawOrigin(EventLoop& loop)
      : loop_(loop), listener_(listen_tcp("127.0.0.1", 0, false).value()) {
    loop_.watch(listener_.get(), EPOLLIN, *this);
  }
  ~RawOrigin() override {
    connections_.clear();
    loop_.unwatch(listener_.get(), *this);
  }
  SocketAddress address() const { return resolve("127.0.0.1", local_port(listener_)).value(); }

  void on_io(uint32_t) override {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) return;
    ++accepted;
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }
  // Sends on the newest connection.
  void say(std::string_view bytes) { connections_.back()->say(bytes); }
  void reset() { connections_.back()->end(Reply::Then::kReset); }

  std::vector<Reply> replies;
  std::string received;  // all of it
  size_t requests = 0;
  int accepted = 0;
  int closed = 0;  // by the client

 private:
  struct Connection final : IoHandler {
    Connection(RawOrigin& owner, Descriptor taken) : origin(owner), socket(std::move(taken)) {
      origin.loop_.watch(socket.get(), EPOLLIN, *this);
    }
    ~Connection() override { end(Reply::Then::kClose); }
    void on_io(uint32_t events) override {
      if (events & EPOLLOUT) say({});
      char buffer[4096];
      const ssize_t count = recv(socket.get(), buffer, sizeof buffer, 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (count <= 0) {
        ++origin.closed;
        return end(Reply::Then::kClose);
      }
      origin.received.append(buffer, static_cast<size_t>(count));
      request.append(buffer, static_cast<size_t>(count));
      if (request.find("\r\n\r\n") == std::string::npos) return;
      request.clear();
      if (origin.requests >= origin.replies.size()) return;
      const Reply& reply = origin.replies[origin.requests++];
      then = reply.then;
      say(reply.bytes);
    }
    void say(std::string_view bytes) {
      unsent.append(bytes);
      while (!unsent.empty()) {
        const ssize_t sent = send(socket.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
        if (sent < 0) break;
        unsent.erase(0, static_cast<size_t>(sent));
      }
      if (unsent.empty() && then != Reply::Then::kKeep) return end(then);
      const uint32_t events = unsent.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
      if (socket.open()) origin.loop_.modify(socket.get(), events, *this);
    }
    void end(Reply::Then how) {
      if (!socket.open()) return;
      if (how == Reply::Then::kReset) reset_on_close(socket);
      origin.loop_.unwatch(socket.get(), *this);
      socket = Descriptor();
    }
    RawOrigin& origin;
    Descriptor socket;
    std::string request;
    std::string unsent;
    Reply::Then then = Reply::Then::kKeep;
  };

  EventLoop& loop_;
  Descriptor listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace kvasir
