// For tests: a loop which runs until something is so.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "net/io/event_loop.h"

namespace kvasir {

class PatientLoop {
 public:
  EventLoop& loop() { return *loop_; }
  // After each callback that may have made it so.
  void look() {
    if (until_ && until_()) loop_->stop();
  }
  // `done` is asked by look(), and now and then.
  void run_until(std::function<bool()> done) {
    until_ = std::move(done);
    bool late = false;
    const TimerId patience = loop_->after(std::chrono::seconds(60), [this, &late] {
      late = true;
      loop_->stop();
    });
    look_again();
    // A stop() of who looked when all was done already ends the run after that one.
    while (!until_() && !late) loop_->run();
    loop_->cancel(patience);
    loop_->cancel(again_);
    EXPECT_FALSE(late) << "what was waited for did not come";
    until_ = nullptr;
  }

 private:
  void look_again() {
    again_ = loop_->after(std::chrono::milliseconds(1), [this] {
      look_again();
      look();
    });
  }

  const std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  std::function<bool()> until_;
  TimerId again_ = kNoTimer;
};

}  // namespace kvasir
