// The server against raw clients: what a request may cost, and clients that half-close.
#include <string>

#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kChunkedHead[] =
    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

HttpServerLimits small_limits() {
  HttpServerLimits limits;
  limits.head_bytes = 1000;
  limits.head_fields = 20;
  return limits;
}

using HttpServerTest = HttpTest;

TEST_F(HttpServerTest, ChunkExtensionsAndTrailersAreBoundedByTheHeadLimit) {
  start(small_limits());
  EXPECT_THAT(raw_exchange(kChunkedHead + ("5;" + std::string(2000, 'a'))),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(raw_exchange(kChunkedHead + ("0\r\nA: " + std::string(2000, 'a'))),
              StartsWith("HTTP/1.1 431"));
  std::string many(kChunkedHead);
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(100, 'a') + "\r\nx\r\n";
  EXPECT_THAT(raw_exchange(many), StartsWith("HTTP/1.1 431"));
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(HttpServerTest, TrailerFieldsAreDropped) {
  const std::string answer = raw_exchange(
      std::string(kChunkedHead) + "2\r\nab\r\n0\r\nAuthorization: Bearer T\r\nHost: y\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\nab"));
}

// Each piece ends in the middle of the next line, so that no reader sees a line begin and end.
TEST_F(HttpServerTest, FieldsThatDripAreCountedTogether) {
  HttpServerLimits limits = small_limits();
  limits.head_fields = 1000;
  start(limits);
  RawClient client(server_->port());
  client.send("GET /echo HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 300 && client.received().empty(); ++i) {
    client.send("A: b\r\nC");
    run_until([&] { return true; });
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
    client.send(": d\r\n");
  }
  run_until([&] { return !client.received().empty(); });
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, TooManyFieldsAreRefused) {
  start(small_limits());
  std::string fields;
  for (int i = 0; i < 30; ++i) fields += "a: b\r\n";
  EXPECT_THAT(raw_exchange("GET /echo HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"),
              StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, WholeBodyHasATimeLimitOfItsOwn) {
  HttpServerLimits limits;
  limits.whole_body_timeout = std::chrono::milliseconds(50);
  start(limits);
  RawClient client(server_->port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  run_until([&] {  // drips, and is never idle for body_timeout
    if (client.received().empty()) client.send("x");
    return !client.received().empty();
  });
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 408"));
}

TEST_F(HttpServerTest, BodiesTogetherHaveABudget) {
  const auto begin = [&](size_t announced, size_t sent) {
    auto client = std::make_unique<RawClient>(server_->port());
    client->send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(announced) +
                 "\r\n\r\n");
    const size_t before = bodies_.held();
    client->send(std::string(sent, 'x'));
    run_until([&] { return bodies_.held() >= before + sent || !client->received().empty(); });
    return client;
  };
  auto first = begin(2'000'000, 1'900'000);
  auto second = begin(1'200'000, 900'000);
  EXPECT_EQ(first->received(), "");
  EXPECT_EQ(second->received(), "");

  auto announced = begin(3'000'000, 0);
  run_until([&] { return !announced->received().empty(); });
  EXPECT_THAT(announced->received(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(announced->received(), HasSubstr("Retry-After: 1\r\n"));

  RawClient chunked(server_->port());
  chunked.send(std::string(kChunkedHead) + "200000\r\n" + std::string(1'400'000, 'x'));
  run_until([&] { return !chunked.received().empty(); });
  EXPECT_THAT(chunked.received(), StartsWith("HTTP/1.1 503"));

  RawClient small(server_->port());  // the last quarter is for those
  small.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" +
             std::string(500'000, 'x'));
  run_until([&] { return !small.received().empty(); });
  EXPECT_THAT(small.received(), StartsWith("HTTP/1.1 200"));

  first->close();
  second->close();
  run_until([&] { return bodies_.held() == 0; });
  auto later = begin(3'000'000, 0);
  later->send(std::string(2'900'000, 'x'));
  run_until([&] { return bodies_.held() > 2'800'000; });
  EXPECT_EQ(later->received(), "");
}

TEST_F(HttpServerTest, LargeHeadsCountAgainstTheBudget) {
  HttpServerLimits limits;
  limits.head_bytes = 8 * 1024 * 1024;
  start(limits);
  RawClient client(server_->port());
  client.send("GET /echo HTTP/1.1\r\nHost: x\r\n");
  run_until([&] {
    client.send_some("A: " + std::string(100'000, 'x') + "\r\n");
    return !client.received().empty();
  });
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 503"));
  client.close();
  run_until([&] { return bodies_.held() == 0; });
}

TEST_F(HttpServerTest, ClientThatHalfClosesGetsItsAnswer) {
  RawClient client(server_->port());
  client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  client.end_sending();
  run_until([&] { return handler_.held != nullptr; });
  for (int i = 0; i < 20; ++i)
    run_until([&, once = false]() mutable { return std::exchange(once, true); });
  EXPECT_EQ(handler_.gone, 0);
  handler_.release();
  run_until([&] { return !client.received().empty(); });
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.received(), HasSubstr("late"));
  run_until([&] { return server_->connections() == 0; });
}

TEST_F(HttpServerTest, PipelinedRequestsOfAHalfClosedClientAreAnswered) {
  const std::string answer = raw_exchange(
      "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "1\r\n\r\na");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\na"));
}

TEST_F(HttpServerTest, SlowAnswerToAHalfClosedClientFollowsAnInterimOne) {
  HttpServerLimits limits;
  limits.half_close_patience = std::chrono::milliseconds(5);
  start(limits);
  RawClient client(server_->port());
  client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  client.end_sending();
  run_until([&] { return !client.received().empty(); });
  EXPECT_EQ(client.received(), "HTTP/1.1 100 Continue\r\n\r\n");
  handler_.release();
  run_until([&] { return server_->connections() == 0; });
  EXPECT_THAT(client.received(), HasSubstr("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, ClientThatIsGoneIsNoticed) {
  HttpServerLimits limits;
  limits.half_close_patience = std::chrono::milliseconds(5);
  start(limits);
  RawClient client(server_->port());
  client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  run_until([&] { return handler_.held != nullptr; });
  client.close();
  run_until([&] { return handler_.gone == 1; });
}

TEST_F(HttpServerTest, ExpectationsAreMetOrRefused) {
  const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n";
  EXPECT_THAT(raw_exchange(post + "Expect: a-miracle\r\n\r\nhi"), StartsWith("HTTP/1.1 417"));
  EXPECT_THAT(raw_exchange(post + "Expect: 100-Continue\r\n\r\nhi"), StartsWith("HTTP/1.1 100"));
  EXPECT_THAT(
      raw_exchange("POST /echo HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi"),
      StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AnswerWithoutABodyHasNoLength) {
  const std::string answer = raw_exchange("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
}

TEST_F(HttpServerTest, OtherProtocolsAreRefusedAtTheirFirstBytes) {
  EXPECT_THAT(raw_exchange("\x16\x03\x01\x02", false), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(raw_exchange("GET /echo HTTP/2.0\r\n", false), StartsWith("HTTP/1.1 505"));
  EXPECT_THAT(raw_exchange("GET /echo\r\n", false), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServerTest, EmptyLinesBeforeARequestAreSkipped) {
  EXPECT_THAT(raw_exchange("\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 204"));
  EXPECT_THAT(raw_exchange("\r\n\r\n\r\n\r\n\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

}  // namespace
}  // namespace kvasir
