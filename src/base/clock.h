// Time is passed in: every engine takes a Clock by reference, so that it runs on real time, on time
// S times faster than life, or on a clock that a test moves.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace kvasir {

using Duration = std::chrono::nanoseconds;

// The tag of Kvasir's own time line; its zero has no meaning outside one process.
struct Timeline {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<Timeline>;
  static constexpr bool is_steady = true;
};
using TimePoint = Timeline::time_point;

constexpr double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
constexpr double to_milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}
// What is longer than a Duration can be becomes the longest, either way; NaN becomes zero.
constexpr Duration from_nanoseconds(double nanoseconds) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (nanoseconds >= kLimit) return Duration::max();
  if (nanoseconds <= -kLimit) return Duration::min();
  if (nanoseconds != nanoseconds) return Duration::zero();
  return Duration(static_cast<Duration::rep>(nanoseconds));
}
constexpr Duration from_seconds(double seconds) {
  constexpr double kBeyond = 1e10;  // more than a Duration can be
  return from_nanoseconds(std::clamp(seconds, -kBeyond, kBeyond) * 1e9);
}
constexpr Duration scaled(Duration duration, double factor) {
  return from_nanoseconds(static_cast<double>(duration.count()) * factor);
}

// `delay` after `time`, or the end of all time when that lies beyond it; not before `time`.
constexpr TimePoint time_after(TimePoint time, Duration delay) {
  if (delay <= Duration::zero()) return time;
  return delay > TimePoint::max() - time ? TimePoint::max() : time + delay;
}

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

// The machine's monotonic clock.
class SteadyClock final : public Clock {
 public:
  TimePoint now() const override {
    return TimePoint(std::chrono::duration_cast<Duration>(
        std::chrono::steady_clock::now().time_since_epoch()));
  }
};

// `scale` seconds pass on it for each second of the clock below, which must outlive it.
class ScaledClock final : public Clock {
 public:
  ScaledClock(const Clock& clock, double scale)
      : clock_(clock), scale_(scale), start_(clock.now()) {}
  TimePoint now() const override {
    const auto elapsed = std::chrono::duration<double, std::nano>(clock_.now() - start_);
    return start_ + std::chrono::duration_cast<Duration>(elapsed * scale_);
  }

 private:
  const Clock& clock_;
  const double scale_;
  const TimePoint start_;
};

// Stands still until it is moved.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint(Duration(now_.load())); }
  void advance(Duration by) { now_ += by.count(); }
  void set(TimePoint to) { now_ = to.time_since_epoch().count(); }

 private:
  std::atomic<Duration::rep> now_{0};
};

}  // namespace kvasir
