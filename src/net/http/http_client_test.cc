// The client against a server of raw bytes: what follows an answer, and what an answer may cost.
#include <ctime>
#include <string>

#include "net/http/http_answer_reader.h"
#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using Then = RawOrigin::Reply::Then;

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kGood[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
constexpr char kEvil[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

class HttpClientTest : public ::testing::Test {
 protected:
  HttpClientTest()
      : loop_(std::move(EventLoop::create().value())),
        origin_(*loop_),
        client_(std::make_unique<HttpClient>(*loop_, origin_.address(), limits())) {}

  static HttpClientLimits limits() {
    HttpClientLimits limits;
    limits.head_bytes = 1000;
    limits.head_fields = 10;
    limits.interim_answers = 3;
    return limits;
  }

  Recorder call(const char* request = kGet, bool is_head = false) {
    Recorder recorder(*loop_);
    client_->start(request, {}, recorder, is_head);
    loop_->run();
    return recorder;
  }
  // Of one request that is answered with these bytes.
  Recorder answered(const std::string& bytes, Then then = Then::kKeep, bool is_head = false) {
    origin_.replies.assign(origin_.requests, {});
    origin_.replies.push_back({bytes, then});
    return call(is_head ? "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" : kGet, is_head);
  }

  std::unique_ptr<EventLoop> loop_;
  RawOrigin origin_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, WhatFollowsAnAnswerNeverAnswersTheNextRequest) {
  const std::string surplus[] = {"x", kEvil, std::string(64 * 1024, 'x') + kEvil,
                                 std::string(64 * 1024 - (sizeof kGood - 1), 'x') + kEvil};
  for (const std::string& more : surplus) {
    origin_.replies.push_back({kGood + more, Then::kKeep});
    origin_.replies.push_back({kGood, Then::kKeep});
    EXPECT_EQ(call().body, "good");
    const Recorder next = call();
    EXPECT_EQ(next.body, "good");
    EXPECT_FALSE(next.failure);
  }
}

TEST_F(HttpClientTest, BytesOnAnIdleConnectionCloseIt) {
  origin_.replies = {{kGood, Then::kKeep}, {kGood, Then::kKeep}};
  EXPECT_EQ(call().body, "good");
  EXPECT_EQ(client_->connections(), 1u);
  origin_.say(kEvil);  // has arrived before the loop looks at it
  EXPECT_EQ(call().body, "good");
  EXPECT_EQ(origin_.accepted, 2);
}

TEST_F(HttpClientTest, AnswersWithoutABodyAreNotUsedForMore) {
  for (const char* status : {"204 No Content", "304 Not Modified"}) {
    const Recorder answer =
        answered("HTTP/1.1 " + std::string(status) + "\r\nContent-Length: 4\r\n\r\nevil");
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answered(kGood).body, "good");
  }
  const Recorder head = answered(kEvil, Then::kKeep, true);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(answered(kGood).body, "good");
  EXPECT_EQ(origin_.accepted, 4);
}

TEST_F(HttpClientTest, AnswerToHeadHasNoBodyBehindInterimAnswers) {
  const Recorder answer = answered(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      Then::kKeep, true);
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.status, 200);
}

TEST_F(HttpClientTest, InterimAnswersAreSkippedAndCounted) {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  EXPECT_EQ(answered(interim + interim + interim + kGood).body, "good");
  const Recorder endless = answered(interim + interim + interim + interim + kGood);
  ASSERT_TRUE(endless.failure);
  EXPECT_EQ(endless.failure->kind, HttpFailure::Kind::kMalformed);
  EXPECT_THAT(endless.failure->message, HasSubstr("interim"));
}

TEST_F(HttpClientTest, WhatIsNoAnswerIsMalformed) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string fields;
  for (int i = 0; i < 20; ++i) fields += "a: b\r\n";
  const std::string cases[] = {
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
      "HTTP/1.1 99 Low\r\n\r\n",
      "HTTP/1.1 999 High\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "\r\n" + std::string(kGood),
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
      "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: " + std::string(1000, 'x') + "\r\n\r\n",
      "HTTP/1.1 200 OK\r\n" + fields + "\r\n",
      chunked + "g\r\n",
      chunked + "-1\r\n",
      chunked + "0x1\r\n",
      chunked + "11111111111111111\r\n",
      chunked + "1\n",
      chunked + "1 \r\na\r\n",
      chunked + "1\r\nab",
      chunked + "1;a\rb\r\n",
      chunked + "5;" + std::string(2000, 'x'),
      chunked + "0\r\nA: " + std::string(2000, 'x'),
      chunked + "0\r\n folded\r\n\r\n",
      chunked + "0\r\nno colon\r\n\r\n",
  };
  for (const std::string& bytes : cases) {
    const Recorder answer = answered(bytes);
    ASSERT_TRUE(answer.failure) << bytes.substr(0, 200);
    EXPECT_EQ(answer.failure->kind, HttpFailure::Kind::kMalformed) << bytes.substr(0, 200);
  }
}

TEST_F(HttpClientTest, ChunkExtensionsMayBeAsLongAsTheData) {
  std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1000; ++i) bytes += "4;n=1234567\r\ndata\r\n";
  const Recorder answer = answered(bytes + "0\r\n\r\n");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.body.size(), 4000u);
}

TEST_F(HttpClientTest, TrailerFieldsAreLeftOutOfTheRawBytes) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* trailers : {"X-Trailer: a\r\n", "X: a\r\nx-selected-pod: b\r\n", ""}) {
    const Recorder answer = answered(chunked + "3\r\nabc\r\n0\r\n" + trailers + "\r\n");
    EXPECT_EQ(answer.body, "abc");
    EXPECT_EQ(answer.raw, "3\r\nabc\r\n0\r\n\r\n");
    EXPECT_TRUE(answer.ended);
  }
  EXPECT_EQ(origin_.accepted, 1) << "the connection is kept";
}

TEST_F(HttpClientTest, RawBytesDoNotDependOnHowTheyArrive) {
  const std::string bytes =
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x\r\nabc\r\n0\r\n";
  for (const std::string end : {"\r\n", "A: b\r\n\r\n"}) {
    const std::string whole = bytes + end;
    for (size_t step = 1; step <= whole.size(); ++step) {
      HttpAnswerReader reader(limits());
      Recorder recorder(*loop_);
      reader.begin(recorder, false);
      HttpAnswerReader::State state{};
      for (size_t at = 0; at < whole.size(); at += step)
        state = reader.take(whole.substr(at, step));
      EXPECT_EQ(state, HttpAnswerReader::State::kComplete) << step;
      EXPECT_EQ(recorder.body, "abc") << step;
      EXPECT_EQ(recorder.raw, "3;x\r\nabc\r\n0\r\n\r\n") << step;
    }
  }
}

TEST_F(HttpClientTest, AnswerThatEndsWithItsConnectionIsWhole) {
  for (const char* head :
       {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n"}) {
    const Recorder answer = answered(head + std::string("until close"), Then::kClose);
    EXPECT_EQ(answer.body, "until close");
    EXPECT_TRUE(answer.ended);
  }
  for (const char* cut :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\nA: b",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"}) {
    const Recorder answer = answered(cut, Then::kClose);
    ASSERT_TRUE(answer.failure) << cut;
    EXPECT_EQ(answer.failure->kind, HttpFailure::Kind::kClosed) << cut;
  }
}

TEST_F(HttpClientTest, CallMayBeCancelledBetweenTheChunksOfOneRead) {
  origin_.replies.push_back(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
       Then::kKeep});
  Recorder recorder(*loop_);
  recorder.cancel_at_body = true;
  recorder.call = &client_->start(kGet, {}, recorder);
  loop_->run();
  EXPECT_EQ(recorder.body, "a");
  EXPECT_FALSE(recorder.ended);
  EXPECT_FALSE(recorder.failure);
  EXPECT_EQ(client_->connections(), 0u);
}

double processor_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

TEST_F(HttpClientTest, PausedCallRestsWhenItsServerResets) {
  origin_.replies.push_back({"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na", Then::kKeep});
  Recorder recorder(*loop_);
  recorder.pause_at_body = true;
  recorder.call = &client_->start(kGet, {}, recorder);
  while (recorder.body.empty()) {
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
  }
  origin_.say("bcd");
  origin_.reset();
  loop_->after(std::chrono::milliseconds(200), [this] { loop_->stop(); });
  const double before = processor_seconds();
  loop_->run();
  EXPECT_LT(processor_seconds() - before, 0.1) << "it does not ask again and again";
  EXPECT_EQ(recorder.body, "a");
  EXPECT_FALSE(recorder.failure);

  recorder.pause_at_body = false;
  recorder.call->resume();
  loop_->run();
  EXPECT_EQ(recorder.body, "abcd") << "what had come is read first";
  ASSERT_TRUE(recorder.failure);
  EXPECT_EQ(recorder.failure->kind, HttpFailure::Kind::kClosed);
}

TEST_F(HttpClientTest, PausedCallMayBeCancelledAfterTheReset) {
  origin_.replies.push_back({"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na", Then::kReset});
  Recorder recorder(*loop_);
  recorder.pause_at_body = true;
  recorder.call = &client_->start(kGet, {}, recorder);
  loop_->after(std::chrono::milliseconds(30), [this] { loop_->stop(); });
  loop_->run();
  if (!recorder.failure) recorder.call->cancel();
  EXPECT_EQ(answered(kGood).body, "good");
}

TEST_F(HttpClientTest, EarlyAnswerEndsTheConnection) {
  origin_.replies.push_back(
      {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", Then::kKeep});
  const std::string body(32 * 1024 * 1024, 'x');  // more than the kernel takes at once
  Recorder recorder(*loop_);
  client_->start("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n", body, recorder);
  loop_->run();
  EXPECT_EQ(recorder.status, 413);
  EXPECT_EQ(client_->connections(), 0u);
}

}  // namespace
}  // namespace kvasir
