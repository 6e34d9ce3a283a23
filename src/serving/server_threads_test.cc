#include "serving/server_threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

// Drains at once, or never.
class FakePart {
 public:
  FakePart(EventLoop& loop, Descriptor listener, bool drains)
      : loop_(loop), listener_(std::move(listener)), drains_(drains) {}
  EventLoop& loop() { return loop_; }
  uint16_t port() const { return local_port(listener_); }
  void drain(std::function<void()> drained) {
    if (drains_) drained();
  }

 private:
  EventLoop& loop_;
  const Descriptor listener_;
  const bool drains_;
};

class ServerThreadsTest : public ::testing::Test {
 protected:
  using Threads = ServerThreads<FakePart>;

  ServerThreadsTest() : loop_(std::move(EventLoop::create().value())) {
    options_.host = "127.0.0.1";
    options_.port_flag = "--port";
    options_.threads = 3;
  }

  Result<std::unique_ptr<Threads>> start() {
    return Threads::start(*loop_, options_,
                          [this](EventLoop& loop, Descriptor listener, uint32_t index) {
                            auto part = std::make_unique<FakePart>(loop, std::move(listener),
                                                                   index != stuck_);
                            ports_.insert(part->port());
                            return part;
                          });
  }
  // Ends when `done` was called, on the first thread.
  void run_until_drained(Threads& threads) {
    threads.drain([this] {
      ++drained_;
      loop_->stop();
    });
    loop_->run();
  }

  std::unique_ptr<EventLoop> loop_;
  ServerThreadsOptions options_;
  uint32_t stuck_ = 99;
  std::set<uint16_t> ports_;
  int drained_ = 0;
};

TEST_F(ServerThreadsTest, AllShareOnePortThatNobodyElseHas) {
  const auto threads = start();
  ASSERT_TRUE(threads) << threads.error().message;
  EXPECT_EQ(ports_, std::set<uint16_t>{(*threads)->port()});
  options_.port = (*threads)->port();
  const auto second = start();
  ASSERT_FALSE(second) << "sockets that share a port would share it with another server too";
  EXPECT_THAT(second.error().message, HasSubstr("--port"));
}

TEST_F(ServerThreadsTest, EachPartIsReachedOnItsOwnThread) {
  const auto threads = start();
  ASSERT_TRUE(threads);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<int> left = 3;
  (*threads)->for_each([&](FakePart&) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      seen.insert(std::this_thread::get_id());
    }
    if (--left == 0) loop_->stop();
  });
  if (left > 0) loop_->run();
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_TRUE(seen.contains(std::this_thread::get_id()));
}

TEST_F(ServerThreadsTest, DrainWaitsForEachPart) {
  const auto threads = start();
  ASSERT_TRUE(threads);
  run_until_drained(**threads);
  EXPECT_EQ(drained_, 1);
}

TEST_F(ServerThreadsTest, DrainEndsWhenItsTimeIsOver) {
  stuck_ = 1;
  options_.drain_timeout = std::chrono::milliseconds(1);
  const auto threads = start();
  ASSERT_TRUE(threads);
  run_until_drained(**threads);
  EXPECT_EQ(drained_, 1);
}

TEST_F(ServerThreadsTest, MayDieWhileTheyDrain) {
  stuck_ = 0;
  options_.drain_timeout = std::chrono::milliseconds(1);
  {
    const auto threads = start();
    ASSERT_TRUE(threads);
    (*threads)->drain([this] { ++drained_; });
  }
  loop_->after(std::chrono::milliseconds(3), [this] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(drained_, 0);
}

}  // namespace
}  // namespace kvasir
