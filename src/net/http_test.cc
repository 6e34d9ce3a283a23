// The server and the client against each other, and the server against raw bytes, on one loop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "net/event_loop.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/socket.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Answers by path: /echo the body, /stream three pieces, /hold nothing until the client leaves.
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
    } else if (path == "/cut") {
      exchange.start(200, "");
      exchange.write("partial");
      exchange.abort();
    } else {
      exchange.respond(404, "", "");
    }
  }
  Refusal on_refused(int status, std::string_view) override {
    return {"", "refused " + std::to_string(status)};
  }
  void on_client_gone() override { ++gone; }

  int requests = 0;
  int gone = 0;
};

class Recorder final : public HttpCallObserver {
 public:
  explicit Recorder(EventLoop& loop) : loop_(loop) {}
  void on_head(const HttpHead& head) override { status = head.status(); }
  void on_body(std::string_view bytes) override { body += bytes; }
  void on_raw(std::string_view bytes) override { raw += bytes; }
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
        *loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()), handler_, limits);
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
        const ssize_t count = ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
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

  std::unique_ptr<EventLoop> loop_;
  TestHandler handler_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpTest, BodyComesBackAndTheConnectionIsUsedAgain) {
  for (int i = 0; i < 3; ++i) {
    const Recorder answer = call("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "hello");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
  }
  EXPECT_EQ(client_->connections(), 1u);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpTest, LargeBodiesPassWhole) {
  const std::string body(3'000'000, 'x');
  const Recorder answer =
      call("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n", body);
  EXPECT_EQ(answer.body, body);
}

TEST_F(HttpTest, ChunkedUploadIsDecoded) {
  const Recorder answer = call(
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(answer.body, "abcde");
}

TEST_F(HttpTest, StreamIsDecodedAndItsRawBytesKeepTheFraming) {
  const Recorder answer = call("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.body, "onetwothree");
  EXPECT_EQ(answer.raw, "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
}

TEST_F(HttpTest, HeadHasNoBody) {
  const Recorder answer = call("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n", {}, true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(answer.ended);
}

TEST_F(HttpTest, CutAnswerIsAFailure) {
  const Recorder answer = call("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->kind, HttpFailure::Kind::kClosed);
}

TEST_F(HttpTest, RefusedConnectionIsAFailure) {
  server_.reset();
  const Recorder answer = call("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(answer.failure);
  EXPECT_EQ(answer.failure->kind, HttpFailure::Kind::kConnect);
}

TEST_F(HttpTest, CancelledCallIsSeenByTheServer) {
  Recorder recorder(*loop_);
  HttpCall& pending = client_->start("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n", {}, recorder);
  loop_->after(std::chrono::milliseconds(20), [&] { pending.cancel(); });
  const std::function<void()> wait = [&] {
    handler_.gone > 0 ? loop_->stop() : static_cast<void>(loop_->after(std::chrono::milliseconds(1), wait));
  };
  wait();
  loop_->run();
  EXPECT_EQ(handler_.gone, 1);
}

TEST_F(HttpTest, PipelinedRequestsAreAnsweredInOrder) {
  const std::string answer = raw_exchange(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb",
      false);
  EXPECT_THAT(answer, HasSubstr("\r\n\r\na"));
  EXPECT_LT(answer.find("\r\n\r\na"), answer.find("\r\n\r\nb"));
}

TEST_F(HttpTest, BadRequestsAreRefused) {
  HttpServerLimits limits;
  limits.head_bytes = 1024;
  limits.body_bytes = 1000;
  start(limits);
  const struct {
    std::string bytes;
    std::string status;
  } cases[] = {
      {"nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
           std::string(2000, 'x') + "\r\n0\r\n\r\n",
       "HTTP/1.1 413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost", "HTTP/1.1 400"},
  };
  for (const auto& bad : cases) EXPECT_THAT(raw_exchange(bad.bytes), StartsWith(bad.status)) << bad.bytes;
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(HttpTest, SlowHeadsAndBodiesTimeOut) {
  HttpServerLimits limits;
  limits.head_timeout = limits.body_timeout = std::chrono::milliseconds(30);
  start(limits);
  EXPECT_THAT(raw_exchange("GET / HTTP/1.1\r\n", false), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(raw_exchange("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", false),
              StartsWith("HTTP/1.1 408"));
}

TEST_F(HttpTest, ExpectContinueIsAnswered) {
  const std::string answer =
      raw_exchange("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                   "Connection: close\r\n\r\nhi", false);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpTest, DrainClosesIdleConnectionsAndReports) {
  call("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "hello");
  bool drained = false;
  server_->drain([&] {
    drained = true;
    loop_->stop();
  });
  if (!drained) loop_->run();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST(ParseHttpOrigin, AcceptsHostAndPortAndNothingElse) {
  EXPECT_EQ(parse_http_origin("http://localhost:8000/").value().host, "localhost");
  EXPECT_EQ(parse_http_origin("10.0.0.1:80").value().port, 80);
  EXPECT_EQ(to_string(parse_http_origin("http://[::1]:8000").value()), "[::1]:8000");
  for (const char* bad : {"", "localhost", "http://:80", "http://a:0", "http://a:99999", "http://a:1/x",
                          "https://a:1", "a:b", "::1:80"}) {
    EXPECT_FALSE(parse_http_origin(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir
