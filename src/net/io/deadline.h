// A deadline that is moved on often and passes rarely: of a connection that must not be idle, slow or stuck.
// Moving it to a later time does not touch the loop's timer, which finds out when it fires.
#pragma once

#include <functional>

#include "base/clock.h"
#include "net/io/event_loop.h"

namespace kvasir {

class Deadline {
 public:
  // `passed` is called when the deadline passes, which disarms it. `loop` must outlive this.
  Deadline(EventLoop& loop, std::function<void()> passed);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // In `timeout` from the loop's now(), instead of whenever it was.
  void arm(Duration timeout);
  // The same, unless it passes sooner already.
  void arm_sooner(Duration timeout);
  void disarm() { at_ = TimePoint::max(); }
  // Disarms and gives the loop's timer back.
  void cancel();

 private:
  void on_timer();

  EventLoop& loop_;
  const std::function<void()> passed_;
  TimePoint at_ = TimePoint::max();
  TimePoint timer_at_ = TimePoint::max();
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir
