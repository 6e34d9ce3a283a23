#include "net/io/deadline.h"

#include <utility>

namespace kvasir {

Deadline::Deadline(EventLoop& loop, std::function<void()> passed)
    : loop_(loop), passed_(std::move(passed)) {}

Deadline::~Deadline() { loop_.cancel(timer_); }

void Deadline::arm(Duration timeout) {
  at_ = loop_.now() + timeout;
  if (timer_ != kNoTimer && timer_at_ <= at_) return;
  loop_.cancel(timer_);
  timer_at_ = at_;
  timer_ = loop_.after(timeout, [this] { on_timer(); });
}

void Deadline::arm_sooner(Duration timeout) {
  if (loop_.now() + timeout < at_) arm(timeout);
}

void Deadline::cancel() {
  disarm();
  loop_.cancel(std::exchange(timer_, kNoTimer));
}

void Deadline::on_timer() {
  timer_ = kNoTimer;
  if (at_ == TimePoint::max()) return;
  const Duration left = at_ - SteadyClock().now();
  if (left > Duration::zero()) return arm(left);
  disarm();
  passed_();
}

}  // namespace kvasir
