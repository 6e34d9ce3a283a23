#include "serving/engine_calls.h"

#include <gtest/gtest.h>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "serving/tokenizer_jobs.h"

namespace kvasir {
namespace {

// Answers what it is told, or not at all.
class FakeEngine final : public HttpHandler {
 public:
  explicit FakeEngine(EventLoop& loop)
      : server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {}

  void on_request(HttpExchange& exchange) override {
    path_ = exchange.head().path();
    body_ = exchange.body();
    authorization_ = std::string(exchange.head().find("authorization").value_or(""));
    if (answer_.empty()) return exchange.set_observer(&silent_);
    exchange.respond(status_, "", answer_);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  struct Silent final : HttpExchange::Observer {
    void on_client_gone() override {}
  };

  Silent silent_;
  std::string answer_;
  int status_ = 200;
  std::string path_;
  std::string body_;
  std::string authorization_;
  HttpServer server_;
};

class EngineCallsTest : public testing::Test {
 protected:
  EngineCallsTest() : loop_(std::move(EventLoop::create().value())), engine_(*loop_) {}

  EngineAnswer answer_of(uint16_t port, EngineCallLimits limits = {}) {
    HttpEngineCalls calls(*loop_, limits);
    EngineAnswer got;
    call_ = calls.start({"engine:1", resolve("127.0.0.1", port).value()},
                        {"/tokenize", "Bearer x", "{\"a\":1}"}, [&](const EngineAnswer& answer) {
                          got = answer;
                          call_.reset();
                          loop_->stop();
                        });
    loop_->run();
    return got;
  }

  std::unique_ptr<EventLoop> loop_;
  FakeEngine engine_;
  std::unique_ptr<EngineCalls::Call> call_;
};

TEST_F(EngineCallsTest, PostsJsonAndGivesTheAnswer) {
  engine_.answer_ = "{\"tokens\":[1]}";
  engine_.status_ = 404;
  const EngineAnswer answer = answer_of(engine_.server_.port());
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, engine_.answer_);
  EXPECT_EQ(engine_.path_, "/tokenize");
  EXPECT_EQ(engine_.body_, "{\"a\":1}");
  EXPECT_EQ(engine_.authorization_, "Bearer x");
}

TEST_F(EngineCallsTest, NobodyThereIsNoAnswer) {
  EXPECT_EQ(answer_of(1).status, 0);
}

TEST_F(EngineCallsTest, AnAnswerThatIsTooLongOrTooLateIsNone) {
  engine_.answer_ = std::string(1001, 'x');
  EngineCallLimits limits;
  limits.answer_bytes = 1000;
  EXPECT_EQ(answer_of(engine_.server_.port(), limits).status, 0);
  engine_.answer_.clear();
  limits.longest = std::chrono::milliseconds(1);
  EXPECT_EQ(answer_of(engine_.server_.port(), limits).status, 0);
}

TEST_F(EngineCallsTest, ACallThatIsGivenUpIsNotTold) {
  engine_.answer_ = "{}";
  HttpEngineCalls calls(*loop_, {});
  calls.start({"engine", resolve("127.0.0.1", engine_.server_.port()).value()}, {"/", "", ""},
              [](const EngineAnswer&) { FAIL() << "nobody listens any more"; });
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
}

TEST_F(EngineCallsTest, TokenizerJobsWaitForEachOther) {
  BackgroundTokenizerJobs jobs(*loop_, 1, 2);
  std::string order;
  const auto job = [&](char name) -> BackgroundJob::Work {
    return [&order, name, this]() -> BackgroundJob::Use {
      return [&order, name, this] {
        order += name;
        if (order.size() == 3) loop_->stop();
      };
    };
  };
  EXPECT_TRUE(jobs.start(job('a')));
  EXPECT_TRUE(jobs.start(job('b')));
  EXPECT_TRUE(jobs.start(job('c')));
  EXPECT_FALSE(jobs.start(job('d')));
  loop_->run();
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace kvasir
