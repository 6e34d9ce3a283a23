// An Executor on virtual time: the clock stands still while work runs, and jumps to the next timer
// when there is none. With the same seeds a run is the same each time, and takes as long as its
// work does.
//
// One thread, post() included.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "base/executor.h"
#include "base/timer_queue.h"

namespace kvasir {

class VirtualExecutor final : public Executor {
 public:
  TimePoint now() const override { return clock_.now(); }
  const Clock& clock() const override { return clock_; }
  TimerId after(Duration delay, std::function<void()> work) override;
  void cancel(TimerId timer) override { timers_.cancel(timer); }
  void post(std::function<void()> work) override { posted_.push_back(std::move(work)); }

  // Runs what is due and was posted up to `end`, where the clock then stands.
  void run_until(TimePoint end);
  // Until nothing is left to do, or after `turns_max` pieces of work. Returns whether nothing is
  // left.
  bool run_until_idle(size_t turns_max);

 private:
  // Runs one piece of work of a time up to `end`. False: there is none.
  bool run_one(TimePoint end);

  ManualClock clock_;
  TimerQueue timers_;
  std::deque<std::function<void()>> posted_;
};

inline TimerId VirtualExecutor::after(Duration delay, std::function<void()> work) {
  return timers_.add(time_after(now(), delay), std::move(work));
}

inline bool VirtualExecutor::run_one(TimePoint end) {
  if (!posted_.empty()) {
    const std::function<void()> work = std::move(posted_.front());
    posted_.pop_front();
    work();
    return true;
  }
  const std::optional<TimePoint> next = timers_.next();
  if (!next || *next > end) return false;
  clock_.set(std::max(*next, now()));
  timers_.take_due(now())();
  return true;
}

inline void VirtualExecutor::run_until(TimePoint end) {
  while (run_one(end)) {
  }
  clock_.set(std::max(end, now()));
}

inline bool VirtualExecutor::run_until_idle(size_t turns_max) {
  for (size_t turn = 0; turn < turns_max; ++turn) {
    if (!run_one(TimePoint::max())) return true;
  }
  return posted_.empty() && !timers_.next();
}

}  // namespace kvasir
