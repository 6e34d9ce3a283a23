// The server against a client of HTTP/2 that keeps the rules, and against clients that do not.
#include "net/http/http2_fixture.h"
#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

constexpr int kEnhanceYourCalm = 11;

class Http2ServerTest : public HttpTest {
 protected:
  void connect(std::string_view settings = {}) {
    hearing_ = std::make_unique<Http2Hearing>();
    peer_ = std::make_unique<RawClient>(server_->port());
    peer_->send(http2_hello(settings));
  }
  // Runs the server until the client has heard what it waits for.
  void until(const std::function<bool()>& heard) {
    run_until([&] {
      hearing_->hear(peer_->received());
      return heard();
    });
  }
  Http2Hearing::Stream& answer_to(uint32_t stream, const std::string& frames) {
    peer_->send(frames);
    until([&] { return hearing_->streams[stream].over() || peer_->ended(); });
    return hearing_->streams[stream];
  }
  void until_closed() {
    until([&] { return peer_->ended(); });
  }
  Http2TestFields post(const std::string& path, const Http2TestFields& more = {}) {
    return http2_request("POST", path, more);
  }

  std::unique_ptr<RawClient> peer_;
  std::unique_ptr<Http2Hearing> hearing_;
};

TEST_F(Http2ServerTest, RequestsOfEachKindAreAnsweredOnOneConnection) {
  connect();
  EXPECT_EQ(hearing_->goaways, 0);
  const auto& echo = answer_to(1, http2_headers(1, post("/echo"), kEndHeaders) +
                                      http2_data(1, "hel", false) + http2_data(1, "lo"));
  EXPECT_EQ(echo.outcome(), "200");
  EXPECT_EQ(echo.body, "hello");
  EXPECT_EQ(echo.field("content-length"), "5");
  EXPECT_EQ(echo.field("content-type"), "text/plain");
  const auto& stream = answer_to(3, http2_headers(3, http2_request("GET", "/stream")));
  EXPECT_EQ(stream.body, "onetwothree");
  const auto& head = answer_to(5, http2_headers(5, http2_request("HEAD", "/echo")));
  EXPECT_EQ(head.outcome(), "200");
  EXPECT_EQ(head.field("content-length"), "0");
  const auto& streamed_head = answer_to(7, http2_headers(7, http2_request("HEAD", "/stream")));
  EXPECT_EQ(streamed_head.outcome(), "200");
  EXPECT_EQ(streamed_head.body, "");
  EXPECT_EQ(answer_to(9, http2_headers(9, http2_request("GET", "/nothing"))).outcome(), "204");
  EXPECT_EQ(answer_to(11, http2_headers(11, http2_request("GET", "/cut"))).outcome(),
            "200 reset 2");
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_EQ(hearing_->goaways, 0);
}

TEST_F(Http2ServerTest, PrefaceMayComeByteByByte) {
  hearing_ = std::make_unique<Http2Hearing>();
  peer_ = std::make_unique<RawClient>(server_->port());
  const std::string bytes = http2_hello() + http2_headers(1, http2_request("GET", "/echo"));
  for (const char byte : bytes) {
    peer_->send({&byte, 1});
    until([] { return true; });
    const TimerId tick = loop_->after(std::chrono::microseconds(50), [this] { loop_->stop(); });
    loop_->run();
    loop_->cancel(tick);
  }
  until([&] { return hearing_->streams[1].over(); });
  EXPECT_EQ(hearing_->streams[1].outcome(), "200");
}

TEST_F(Http2ServerTest, PrefaceIsAVersionLikeAnyOtherWhereItIsNotSpoken) {
  EXPECT_THAT(raw_exchange("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n" + http2_hello()),
              ::testing::HasSubstr("HTTP/1.1 505 "));
  EXPECT_THAT(raw_exchange("\r\n" + http2_hello()), ::testing::StartsWith("HTTP/1.1 505 "));
  HttpServerLimits limits;
  limits.http2 = false;
  start(limits);
  EXPECT_THAT(raw_exchange(http2_hello()), ::testing::StartsWith("HTTP/1.1 505 "));
}

TEST_F(Http2ServerTest, WhatIsNoHttp2BehindThePrefaceClosesTheConnection) {
  EXPECT_THAT(raw_exchange("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", false),
              ::testing::Not(::testing::HasSubstr("HTTP/1.1")));
  run_until([&] { return server_->connections() == 0; });
}

TEST_F(Http2ServerTest, HandlerReadsWhatHttp1WouldHaveSaid) {
  connect();
  peer_->send(http2_headers(
      1, post("/hold", {{"x-a", "1"}, {"cookie", "a=1"}, {"x-a", "2"}, {"cookie", "b=2"}})));
  until([&] { return handler_.held != nullptr; });
  const HttpHead& head = handler_.held->head();
  EXPECT_EQ(head.method(), "POST");
  EXPECT_EQ(head.target(), "/hold");
  EXPECT_EQ(head.minor_version(), 1);
  EXPECT_EQ(head.find("host"), "g");
  EXPECT_EQ(head.find("cookie"), "a=1; b=2");
  EXPECT_EQ(head.field_count(), 4u);
  EXPECT_EQ(handler_.held->raw(), nullptr);
  handler_.held->set_target("/other", "h");
  EXPECT_EQ(head.path(), "/other");
  EXPECT_EQ(head.find("Host"), "h");
}

TEST_F(Http2ServerTest, SlowReaderIsWaitedForStreamByStream) {
  connect(http2_setting(4, 1000));  // a window of 1,000 bytes for each stream
  peer_->send(http2_headers(1, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  HttpExchange& exchange = *handler_.held;
  exchange.start(200, "");
  exchange.write(std::string(5000, 'x'));
  until([&] { return hearing_->streams[1].body.size() == 1000; });
  EXPECT_EQ(exchange.unsent_bytes(), 4000u);
  EXPECT_EQ(handler_.drained, 0);
  // Another stream is not held up.
  EXPECT_EQ(answer_to(3, http2_headers(3, http2_request("GET", "/stream"))).body, "onetwothree");
  peer_->send(http2_frame(kWindowFrame, 0, 1, big_endian(10'000, 4)));
  until([&] { return hearing_->streams[1].body.size() == 5000; });
  EXPECT_EQ(exchange.unsent_bytes(), 0u);
  EXPECT_EQ(handler_.drained, 1);
  exchange.finish("x-sum: 7\r\n");
  until([&] { return hearing_->streams[1].over(); });
  EXPECT_EQ(hearing_->streams[1].field("x-sum"), "7");
}

TEST_F(Http2ServerTest, LargeBodiesGoBothWays) {
  connect(http2_setting(4, 1 << 30));
  peer_->send(http2_frame(kWindowFrame, 0, 0, big_endian(1 << 30, 4)));
  const std::string piece(16'000, 'x');
  peer_->send(http2_headers(1, post("/echo"), kEndHeaders));
  for (int i = 0; i < 160; ++i) {
    std::string frame = http2_data(1, piece, i == 159);
    while (!frame.empty()) {
      frame.erase(0, peer_->send_some(frame));
      until([] { return true; });
      const TimerId tick = loop_->after(std::chrono::microseconds(10), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
  }
  until([&] { return hearing_->streams[1].over(); });
  EXPECT_EQ(hearing_->streams[1].body.size(), 2'560'000u);
  EXPECT_EQ(bodies_.held(), 0u);
}

TEST_F(Http2ServerTest, ExpectationIsMetOrRefused) {
  connect();
  peer_->send(http2_headers(1, post("/echo", {{"expect", "100-continue"}}), kEndHeaders));
  until([&] { return hearing_->streams[1].outcome() == "100"; });
  EXPECT_EQ(answer_to(1, http2_data(1, "abc")).outcome(), "100 200");
  EXPECT_EQ(answer_to(3, http2_headers(3, post("/echo", {{"expect", "100-continue"}}))).outcome(),
            "200");
  EXPECT_EQ(answer_to(5, http2_headers(5, post("/echo", {{"expect", "tea"}}))).outcome(), "417");
}

TEST_F(Http2ServerTest, WhatIsBeyondALimitIsRefusedAndTheNextRequestIsNot) {
  HttpServerLimits limits;
  limits.body_bytes = 1000;
  limits.head_fields = 10;
  limits.head_bytes = 5000;
  start(limits);
  connect();
  const auto& announced =
      answer_to(1, http2_headers(1, post("/echo", {{"content-length", "1001"}}), kEndHeaders));
  EXPECT_EQ(announced.outcome(), "413");
  EXPECT_EQ(announced.body, "refused 413");
  EXPECT_EQ(announced.reset, 0);  // the rest need not be sent
  EXPECT_EQ(answer_to(3, http2_headers(3, post("/echo"), kEndHeaders) +
                             http2_data(3, std::string(1001, 'x'), false))
                .outcome(),
            "413");
  const Http2TestFields many(11, {"x-a", "1"});
  EXPECT_EQ(answer_to(5, http2_headers(5, post("/echo", many))).outcome(), "431");
  EXPECT_EQ(
      answer_to(7, http2_headers(7, post("/echo", {{"x-a", std::string(5000, 'x')}}))).outcome(),
      "431");
  EXPECT_EQ(answer_to(9, http2_headers(9, post("/echo"))).outcome(), "200");
}

TEST_F(Http2ServerTest, BodiesCountAgainstTheBudgetOfAll) {
  HttpServerLimits limits;
  limits.body_bytes = 64 * 1024 * 1024;
  start(limits);
  connect();
  EXPECT_EQ(
      answer_to(1, http2_headers(1, post("/echo", {{"content-length", "5000000"}}), kEndHeaders))
          .outcome(),
      "503");
  EXPECT_EQ(hearing_->streams[1].field("retry-after"), "1");
  peer_->send(http2_headers(3, post("/hold"), kEndHeaders) + http2_data(3, "abc"));
  until([&] { return handler_.held != nullptr; });
  EXPECT_GT(bodies_.held(), 0u);
  handler_.release();
  EXPECT_EQ(bodies_.held(), 0u);
}

TEST_F(Http2ServerTest, BodyThatDoesNotComeIsGivenUp) {
  HttpServerLimits limits;
  limits.body_timeout = std::chrono::milliseconds(100);
  start(limits);
  connect();
  EXPECT_EQ(answer_to(1, http2_headers(1, post("/echo"), kEndHeaders)).outcome(), "408");
  EXPECT_EQ(answer_to(3, http2_headers(3, post("/echo"))).outcome(), "200");
}

TEST_F(Http2ServerTest, HeadThatDoesNotEndClosesTheConnection) {
  HttpServerLimits limits;
  limits.head_timeout = std::chrono::milliseconds(100);
  start(limits);
  connect();
  peer_->send(http2_headers(1, post("/echo"), 0));
  until_closed();
  EXPECT_EQ(hearing_->goaway, kEnhanceYourCalm);
}

TEST_F(Http2ServerTest, ClientThatTakesNoOutputLosesTheStream) {
  HttpServerLimits limits;
  limits.write_timeout = std::chrono::milliseconds(100);
  start(limits);
  connect(http2_setting(4, 0));
  EXPECT_EQ(answer_to(1, http2_headers(1, http2_request("GET", "/stream"))).outcome(),
            "200 reset 8");
  peer_->send(http2_headers(3, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  handler_.held->start(200, "");
  handler_.held->write("x");
  until([&] { return handler_.gone == 1; });
}

TEST_F(Http2ServerTest, IdleConnectionIsEndedPolitely) {
  HttpServerLimits limits;
  limits.keep_alive_timeout = std::chrono::milliseconds(100);
  limits.goaway_notice = std::chrono::milliseconds(20);
  start(limits);
  connect();
  until_closed();
  EXPECT_EQ(hearing_->goaways, 2);
  EXPECT_EQ(hearing_->goaway, 0);
}

TEST_F(Http2ServerTest, HandlerHearsOfClientsThatLeave) {
  connect();
  peer_->send(http2_headers(1, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  peer_->send(http2_reset(1));
  until([&] { return handler_.gone == 1; });
  peer_->send(http2_headers(3, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  peer_->close();
  run_until([&] { return handler_.gone == 2; });
  run_until([&] { return server_->connections() == 0; });
}

TEST_F(Http2ServerTest, RequestThatWasTakenBackIsNotBegun) {
  connect();
  std::string frames;
  for (uint32_t i = 0; i < 50; ++i) {
    frames += http2_headers(1 + 2 * i, http2_request("GET", "/hold")) + http2_reset(1 + 2 * i);
  }
  EXPECT_EQ(answer_to(201, frames + http2_headers(201, http2_request("GET", "/echo"))).outcome(),
            "200");
  EXPECT_EQ(handler_.requests, 1);
  EXPECT_EQ(handler_.gone, 0);
}

TEST_F(Http2ServerTest, TooManyResetsEndTheConnection) {
  connect();
  std::string frames;
  for (uint32_t i = 0; i < 300; ++i) {
    frames += http2_headers(1 + 2 * i, http2_request("GET", "/hold")) + http2_reset(1 + 2 * i);
  }
  peer_->send(frames);
  until_closed();
  EXPECT_EQ(hearing_->goaway, kEnhanceYourCalm);
  EXPECT_EQ(handler_.held, nullptr);
}

TEST_F(Http2ServerTest, StreamsThatBreakTheRulesCountAsResets) {
  connect();
  for (uint32_t last = 0; last < 300 && !peer_->ended();) {
    std::string frames;
    for (int i = 0; i < 60; ++i) frames += http2_headers(1 + 2 * last++, {{":method", "GET"}});
    peer_->send(frames);
    until([&] { return hearing_->streams[2 * last - 1].over() || peer_->ended(); });
  }
  until_closed();
  EXPECT_EQ(hearing_->goaway, kEnhanceYourCalm);
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(Http2ServerTest, StreamsBeyondTheLimitAreRefused) {
  connect(http2_setting(4, 0));
  until([&] { return !hearing_->settings.empty(); });
  EXPECT_EQ(hearing_->settings[3], 100u);
  peer_->send(http2_frame(kSettingsFrame, kAck, 0, ""));
  for (uint32_t i = 0; i < 100; ++i) {
    peer_->send(http2_headers(1 + 2 * i, http2_request("GET", "/stream")));
  }
  until([&] { return hearing_->streams[199].outcome() == "200"; });
  peer_->send(http2_headers(201, http2_request("GET", "/stream")));
  until([&] { return hearing_->streams[201].over() || peer_->ended(); });
  EXPECT_NE(hearing_->streams[201].outcome(), "200");
  EXPECT_EQ(handler_.requests, 100);
}

// Each of these would make a server work or remember without end.
TEST_F(Http2ServerTest, FloodsCloseTheConnection) {
  std::string pings, settings, continuations;
  for (int i = 0; i < 3000; ++i) pings += http2_frame(kPingFrame, 0, 0, "12345678");
  for (int i = 0; i < 3000; ++i) settings += http2_frame(kSettingsFrame, 0, 0, "");
  continuations = http2_headers(1, http2_request("GET", "/echo"), 0);
  for (int i = 0; i < 3000; ++i) continuations += http2_frame(kContinuationFrame, 0, 1, "");
  // 8,000 bytes put into the table once, then named 4,000 times.
  const std::string name = "x-a";
  std::string block = http2_block(http2_request("GET", "/echo"));
  block += std::string("\x40\x03") + name + "\x7f\xa1\x1e" + std::string(4000, 'x');
  block += std::string(4000, '\xbe');
  const std::string bomb = http2_frame(kHeadersFrame, kEndHeaders | kEndStream, 1, block);
  const std::string many_settings = http2_frame(kSettingsFrame, 0, 0, std::string(600, '\0'));
  for (const std::string& flood : {pings, settings, continuations, bomb, many_settings}) {
    connect();
    until([&] { return !hearing_->settings.empty(); });
    peer_->send(flood);
    until_closed();
  }
  EXPECT_EQ(handler_.requests, 0);
  run_until([&] { return server_->connections() == 0; });
}

TEST_F(Http2ServerTest, ClientsAreAskedToLeaveBeforeTheyAreMadeTo) {
  HttpServerLimits limits;
  limits.goaway_notice = std::chrono::milliseconds(50);
  start(limits);
  connect();
  EXPECT_EQ(answer_to(1, http2_headers(1, http2_request("GET", "/echo"))).outcome(), "200");
  server_->close_after_answers();
  until([&] { return hearing_->goaways == 1; });
  EXPECT_EQ(hearing_->goaway_stream, 0x7fffffffu);
  // On its way when the client heard.
  EXPECT_EQ(answer_to(3, http2_headers(3, http2_request("GET", "/echo"))).outcome(), "200");
  until_closed();
  EXPECT_EQ(hearing_->goaways, 2);
  EXPECT_EQ(hearing_->goaway_stream, 3u);
}

TEST_F(Http2ServerTest, DrainLetsRunningRequestsEnd) {
  HttpServerLimits limits;
  limits.goaway_notice = std::chrono::milliseconds(50);
  start(limits);
  connect();
  peer_->send(http2_headers(1, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  bool drained = false;
  server_->drain([&] { drained = true; });
  until([&] { return hearing_->goaways == 2; });
  EXPECT_FALSE(drained);
  handler_.release();
  until_closed();
  EXPECT_EQ(hearing_->streams[1].body, "late");
  run_until([&] { return drained; });
}

TEST_F(Http2ServerTest, ServerMayGoWhileRequestsRun) {
  connect();
  peer_->send(http2_headers(1, http2_request("GET", "/hold")));
  until([&] { return handler_.held != nullptr; });
  server_.reset();
  EXPECT_EQ(handler_.gone, 0);
}

}  // namespace
}  // namespace kvasir
