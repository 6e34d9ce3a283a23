#include "base/timer_queue.h"

#include <algorithm>
#include <utility>

namespace kvasir {
namespace {

// So many cancelled timers are always kept: sorting them out costs more.
constexpr size_t kCancelledKept = 64;

struct LaterFirst {
  template <class Entry>
  bool operator()(const Entry& a, const Entry& b) const {
    return a.at != b.at ? a.at > b.at : a.timer > b.timer;
  }
};

}  // namespace

TimerId TimerQueue::add(TimePoint at, std::function<void()> work) {
  const uint64_t timer = ++last_timer_;
  work_.emplace(timer, std::move(work));
  heap_.push_back({at, timer});
  std::push_heap(heap_.begin(), heap_.end(), LaterFirst());
  return TimerId(timer);
}

void TimerQueue::cancel(TimerId timer) {
  if (work_.erase(static_cast<uint64_t>(timer)) == 0) return;
  const size_t cancelled = heap_.size() - work_.size();
  if (cancelled > kCancelledKept && cancelled > work_.size()) return drop_cancelled();
  drop_cancelled_head();
}

std::optional<TimePoint> TimerQueue::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

std::function<void()> TimerQueue::take_due(TimePoint now) {
  if (heap_.empty() || heap_.front().at > now) return nullptr;
  const auto found = work_.find(heap_.front().timer);
  std::function<void()> work = std::move(found->second);
  work_.erase(found);
  drop_cancelled_head();
  return work;
}

void TimerQueue::drop_cancelled_head() {
  while (!heap_.empty() && work_.count(heap_.front().timer) == 0) {
    std::pop_heap(heap_.begin(), heap_.end(), LaterFirst());
    heap_.pop_back();
  }
}

void TimerQueue::drop_cancelled() {
  std::erase_if(heap_, [this](const Entry& entry) { return work_.count(entry.timer) == 0; });
  std::make_heap(heap_.begin(), heap_.end(), LaterFirst());
}

}  // namespace kvasir
