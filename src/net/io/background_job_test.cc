#include "net/io/background_job.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "net/io/event_loop.h"

namespace kvasir {
namespace {

class BackgroundJobTest : public testing::Test {
 protected:
  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
};

TEST_F(BackgroundJobTest, WorksElsewhereAndUsesTheResultHere) {
  BackgroundJob job(*loop_);
  std::thread::id worked_on;
  std::thread::id used_on;
  int result = 0;
  ASSERT_TRUE(job.start([&]() -> BackgroundJob::Use {
    worked_on = std::this_thread::get_id();
    return [&, found = 7] {
      used_on = std::this_thread::get_id();
      result = found;
      loop_->stop();
    };
  }));
  EXPECT_TRUE(job.busy());
  loop_->run();
  EXPECT_FALSE(job.busy());
  EXPECT_EQ(result, 7);
  EXPECT_EQ(used_on, std::this_thread::get_id());
  EXPECT_NE(worked_on, used_on);
}

TEST_F(BackgroundJobTest, OneAtATimeAndAnotherFromTheUseOfTheFirst) {
  BackgroundJob job(*loop_);
  std::promise<void> go;
  ASSERT_TRUE(job.start([&]() -> BackgroundJob::Use {
    go.get_future().wait();
    return [&] { EXPECT_TRUE(job.start([&] { return [&] { loop_->stop(); }; })); };
  }));
  EXPECT_FALSE(job.start([] { return [] { FAIL(); }; }));
  go.set_value();
  loop_->run();
}

// A resolver may hang for as long as it likes.
TEST_F(BackgroundJobTest, ItsEndDoesNotWaitAndDropsTheResult) {
  auto go = std::make_shared<std::promise<void>>();
  auto over = std::make_shared<std::promise<void>>();
  {
    BackgroundJob job(*loop_);
    ASSERT_TRUE(job.start([go, over]() -> BackgroundJob::Use {
      go->get_future().wait();
      over->set_value();
      return [] { FAIL() << "nobody listens any more"; };
    }));
  }
  go->set_value();
  over->get_future().wait();
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
}

}  // namespace
}  // namespace kvasir
