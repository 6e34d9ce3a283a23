// The server and the client against each other, and the server against raw bytes, on one loop.
#include <string>

#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

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
  EXPECT_EQ(answer.failure->cause, HttpFailure::Cause::kRefused);
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
  EXPECT_THAT(raw_exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", false),
              StartsWith("HTTP/1.1 408"));
}

TEST_F(HttpTest, ExpectContinueIsAnswered) {
  const std::string answer =
      raw_exchange("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                   "Connection: close\r\n\r\nhi", false);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpTest, WhoIsAboutToStopServesOnAndEndsEachConnectionWithItsAnswer) {
  const std::string request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
  call("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "hello");
  server_->close_after_answers();
  EXPECT_EQ(server_->connections(), 1u) << "an idle connection may have a request on its way";
  for (int i = 0; i < 2; ++i) {
    const Recorder answer =
        call("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "hello");
    EXPECT_EQ(answer.body, "hello") << "on the old connection, then on a new one";
    EXPECT_EQ(client_->connections(), 0u) << "the answer said that it is the last";
  }
  EXPECT_THAT(raw_exchange(request, false), HasSubstr("\r\nConnection: close\r\n"));
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
  EXPECT_EQ(parse_http_origin(" http://a:8000/ ").value().host, "a") << "as in \"http://b:1, http://a:8000/ \"";
  for (const char* bad : {"", "localhost", "http://:80", "http://a:0", "http://a:99999", "http://a:1/x",
                          "https://a:1", "a:b", "::1:80"}) {
    EXPECT_FALSE(parse_http_origin(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir
