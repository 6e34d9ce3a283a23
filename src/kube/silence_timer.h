// Says when nothing was heard for too long. Hearing something costs no timer: the one that is set
// looks again when there was something meanwhile. Lives on its executor's thread.
#pragma once

#include <functional>
#include <utility>

#include "base/executor.h"

namespace kvasir {

class SilenceTimer {
 public:
  // `executor` must outlive it. `silent` is called once after each start(), unless stop() comes
  // before.
  SilenceTimer(Executor& executor, std::function<void()> silent)
      : executor_(executor), silent_(std::move(silent)) {}
  ~SilenceTimer() { stop(); }
  SilenceTimer(const SilenceTimer&) = delete;
  SilenceTimer& operator=(const SilenceTimer&) = delete;

  void start(Duration silence_max) {
    stop();
    silence_max_ = silence_max;
    heard();
    set(silence_max);
  }
  void stop() { executor_.cancel(std::exchange(timer_, kNoTimer)); }
  void heard() { heard_at_ = executor_.now(); }
  Duration silence_max() const { return silence_max_; }

 private:
  void set(Duration delay) {
    timer_ = executor_.after(delay, [this] {
      timer_ = kNoTimer;
      const TimePoint due = time_after(heard_at_, silence_max_);
      if (due > executor_.now()) return set(due - executor_.now());
      silent_();
    });
  }

  Executor& executor_;
  const std::function<void()> silent_;
  Duration silence_max_{};
  TimePoint heard_at_;
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir
