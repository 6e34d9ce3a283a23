// Answers that come in quick small pieces (HttpClientLimits::gather_interval).
#include <string>

#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kFirst[] = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n.";
// Longer than any of these tests takes to send its pieces.
constexpr Duration kInterval = std::chrono::milliseconds(400);

class HttpGatherTest : public ::testing::Test {
 protected:
  HttpGatherTest()
      : loop_(std::move(EventLoop::create().value())),
        origin_(*loop_),
        client_(std::make_unique<HttpClient>(*loop_, origin_.address(), limits())) {
    origin_.replies.push_back({kFirst});
  }

  static HttpClientLimits limits() {
    HttpClientLimits limits;
    limits.gather_interval = kInterval;
    return limits;
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) turn();
  }
  void turn() {
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
  }
  // Pieces until it is read by the clock; ten bytes of the body.
  void begin(Recorder& recorder) {
    recorder.call = &client_->start(kRequest, {}, recorder);
    run_until([&] { return !recorder.body.empty(); });
    while (recorder.body.size() < 10) {
      origin_.say(".");
      const size_t before = recorder.body.size();
      for (int i = 0; i < 20 && recorder.body.size() == before; ++i) turn();
      if (recorder.body.size() == before) return;  // it waits for the clock
    }
    FAIL() << "each piece was read when it came";
  }

  std::unique_ptr<EventLoop> loop_;
  RawOrigin origin_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpGatherTest, QuickPiecesAreReadTogether) {
  Recorder recorder(*loop_);
  begin(recorder);
  const int reads = recorder.reads;
  EXPECT_GE(reads, 4) << "the first ones come when they come";
  for (size_t unread = 20 - recorder.body.size() - 1; unread > 0; --unread) {
    origin_.say(".");
    turn();
  }
  run_until([&] { return recorder.ended; });
  EXPECT_EQ(recorder.body, std::string(20, '.'));
  EXPECT_LE(recorder.reads, reads + 3);

  origin_.replies.push_back({"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"});
  Recorder next(*loop_);
  client_->start(kRequest, {}, next);
  loop_->run();
  EXPECT_EQ(next.body, "good") << "on the same connection";
  EXPECT_EQ(origin_.accepted, 1);
}

TEST_F(HttpGatherTest, SlowPiecesAreReadWhenTheyCome) {
  HttpClientLimits quick;
  quick.gather_interval = std::chrono::nanoseconds(1);
  client_ = std::make_unique<HttpClient>(*loop_, origin_.address(), quick);
  Recorder recorder(*loop_);
  client_->start(kRequest, {}, recorder);
  for (size_t size = 1; size < 20; ++size) {
    run_until([&] { return recorder.body.size() == size; });
    origin_.say(".");
  }
  run_until([&] { return recorder.ended; });
  EXPECT_EQ(recorder.reads, 20);
}

TEST_F(HttpGatherTest, AReaderThatCannotKeepUpPausesIt) {
  Recorder recorder(*loop_);
  begin(recorder);
  const size_t before = recorder.body.size();
  recorder.call->pause();
  origin_.say(std::string(20 - before - 1, '.'));
  loop_->after(2 * kInterval, [this] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(recorder.body.size(), before) << "no clock reads what is paused";
  recorder.call->resume();
  run_until([&] { return recorder.ended; });
  EXPECT_EQ(recorder.body, std::string(20, '.'));
}

TEST_F(HttpGatherTest, AServerThatClosesIsNoticed) {
  Recorder recorder(*loop_);
  begin(recorder);
  origin_.reset();
  run_until([&] { return recorder.failure.has_value(); });
  EXPECT_EQ(recorder.failure->kind, HttpFailure::Kind::kClosed);
}

TEST_F(HttpGatherTest, ACallMayBeCancelled) {
  Recorder recorder(*loop_);
  begin(recorder);
  recorder.call->cancel();
  loop_->after(2 * kInterval, [this] { loop_->stop(); });
  loop_->run();
  EXPECT_FALSE(recorder.ended || recorder.failure);
  EXPECT_EQ(client_->connections(), 0u);
}

}  // namespace
}  // namespace kvasir
