#include "net/io/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <vector>

namespace kvasir {
namespace {

// An event counter that is ready until it is read.
class Counter final : public IoHandler {
 public:
  explicit Counter(EventLoop& loop) : loop_(loop), descriptor_(eventfd(0, EFD_NONBLOCK)) {
    loop_.watch(descriptor_, EPOLLIN, *this);
  }
  ~Counter() override {
    loop_.unwatch(descriptor_, *this);
    close(descriptor_);
  }

  void make_ready() {
    const uint64_t one = 1;
    EXPECT_EQ(write(descriptor_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  void on_io(uint32_t) override {
    uint64_t count = 0;
    EXPECT_EQ(read(descriptor_, &count, sizeof count), static_cast<ssize_t>(sizeof count));
    if (then) then();
  }

  std::function<void()> then;

 private:
  EventLoop& loop_;
  const int descriptor_;
};

TEST(EventLoop, KnowsWhetherItHasToldAHandlerAll) {
  const std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  std::array<Counter, 2> both = {Counter(*loop), Counter(*loop)};
  Counter silent(*loop);
  EXPECT_FALSE(loop->told_all(silent));  // it has not looked
  std::vector<bool> of_the_other;
  for (size_t i = 0; i < 2; ++i) {
    both[i].then = [&, i] {
      EXPECT_TRUE(loop->told_all(both[i]));
      EXPECT_TRUE(loop->told_all(silent));
      of_the_other.push_back(loop->told_all(both[1 - i]));
    };
    both[i].make_ready();
  }
  loop->stop();
  loop->run();
  EXPECT_EQ(of_the_other, (std::vector<bool>{false, true}));
  EXPECT_FALSE(loop->told_all(silent));
}

// A batch has room for 512 handlers: of those behind nothing is known.
TEST(EventLoop, KnowsNothingForSureWhereMoreIsReadyThanFitsABatch) {
  const std::unique_ptr<EventLoop> loop = EventLoop::create().value();
  std::vector<std::unique_ptr<Counter>> many;
  bool told = true;
  for (size_t i = 0; i < 600; ++i) {
    many.push_back(std::make_unique<Counter>(*loop));
    many.back()->make_ready();
  }
  Counter silent(*loop);
  many.front()->then = [&] { told = loop->told_all(silent); };
  loop->stop();
  loop->run();
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace kvasir
