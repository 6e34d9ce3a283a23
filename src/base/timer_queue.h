// Timers of one thread, earliest first. Cancelled ones do not pile up: the queue stays within twice
// the timers that wait. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"

namespace kvasir {

class TimerQueue {
 public:
  // Timers of the same time come in the order in which they were added.
  TimerId add(TimePoint at, std::function<void()> work);
  // Of a timer that was taken, and of kNoTimer, it does nothing.
  void cancel(TimerId timer);
  // When the next timer is due; nullopt: none waits.
  std::optional<TimePoint> next() const;
  // Takes the work of the next timer that is due at `now`; null: none is.
  std::function<void()> take_due(TimePoint now);

  // Timers that wait, and the entries that are kept for them and for cancelled ones.
  size_t waiting() const { return work_.size(); }
  size_t entries() const { return heap_.size(); }

 private:
  struct Entry {
    TimePoint at;
    uint64_t timer;
  };

  void drop_cancelled_head();
  void drop_cancelled();

  std::vector<Entry> heap_;  // its head is never cancelled
  std::unordered_map<uint64_t, std::function<void()>> work_;
  uint64_t last_timer_ = 0;
};

}  // namespace kvasir
