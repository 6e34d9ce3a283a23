#include "net/io/signal_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <vector>

namespace kvasir {
namespace {

using ::testing::ElementsAre;

// With SIGHUP treated so from the start.
class SignalWatcherTest : public testing::TestWithParam<void (*)(int)> {
 protected:
  SignalWatcherTest() {
    pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
    struct sigaction wanted {};
    wanted.sa_handler = GetParam();
    sigaction(SIGHUP, &wanted, &before_);
  }
  ~SignalWatcherTest() override {
    watcher_.reset();
    sigaction(SIGHUP, &before_, nullptr);
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

  // What arrives of a SIGHUP and a SIGTERM.
  std::vector<int> arrived() {
    std::vector<int> signals;
    watcher_ = std::move(SignalWatcher::create(*loop_, {SIGTERM, SIGHUP}, [&](int signal) {
                           signals.push_back(signal);
                           if (signal == SIGTERM) loop_->stop();
                         }).value());
    raise(SIGHUP);
    raise(SIGTERM);
    loop_->run();
    return signals;
  }

  const std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  std::unique_ptr<SignalWatcher> watcher_;
  struct sigaction before_ {};
  sigset_t mask_{};
};

INSTANTIATE_TEST_SUITE_P(All, SignalWatcherTest, testing::Values(SIG_DFL, SIG_IGN));

TEST_P(SignalWatcherTest, AHangUpArrivesUnlessItWasIgnored) {
  if (GetParam() == SIG_IGN) {
    EXPECT_THAT(arrived(), ElementsAre(SIGTERM));
  } else {
    EXPECT_THAT(arrived(), ElementsAre(SIGHUP, SIGTERM));
  }
}

}  // namespace
}  // namespace kvasir
