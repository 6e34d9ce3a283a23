// So many units a minute, as a token bucket that holds one minute's worth and is filled all the
// time. One number says it all: when it will be full again, if nothing more is taken (the generic
// cell rate algorithm of ATM, ITU-T I.371, with a burst of one minute). How much of a minute is
// gone stays true when the limit changes.
//
// Thread-safe, without a lock: a thread that loses a race tries again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.h"
#include "base/random.h"

namespace kvasir {

class MinuteBucket {
 public:
  // Takes `count` units of a bucket of `limit` (at least 1). nullopt: done; else nothing was taken,
  // and that long until so many are there. Duration::max(): never, it holds fewer than that.
  std::optional<Duration> take(uint64_t limit, uint64_t count, TimePoint now) {
    if (count > limit) return Duration::max();
    const int64_t cost = cost_of(limit, count);
    int64_t full_at = full_at_.load(std::memory_order_relaxed);
    for (;;) {
      const int64_t after = std::max(full_at, nanoseconds(now)) + cost;
      const int64_t late = after - nanoseconds(now) - kMinute;
      if (late > 0) return Duration(late);
      if (full_at_.compare_exchange_weak(full_at, after, std::memory_order_relaxed)) return {};
    }
  }

  // What was used, there or not: later ones wait for it.
  void take_anyway(uint64_t limit, uint64_t count, TimePoint now) {
    const int64_t cost = cost_of(limit, count);
    int64_t full_at = full_at_.load(std::memory_order_relaxed);
    while (!full_at_.compare_exchange_weak(full_at, std::max(full_at, nanoseconds(now)) + cost,
                                           std::memory_order_relaxed)) {
    }
  }

  // Of what was taken; it never becomes more than full.
  void give_back(uint64_t limit, uint64_t count) {
    full_at_.fetch_sub(cost_of(limit, count), std::memory_order_relaxed);
  }

  struct Level {
    uint64_t remaining = 0;
    Duration until_full{};
  };
  Level level(uint64_t limit, TimePoint now) const {
    const int64_t used =
        std::max<int64_t>(full_at_.load(std::memory_order_relaxed) - nanoseconds(now), 0);
    const auto left = static_cast<uint64_t>(std::max<int64_t>(kMinute - used, 0));
    return {static_cast<uint64_t>(static_cast<Wide>(left) * limit / kMinute), Duration(used)};
  }

 private:
  static constexpr int64_t kMinute = 60'000'000'000;
  // A request that uses more than so many minutes' worth owes no more than that, so that nothing
  // overflows.
  static constexpr uint64_t kMinutesMost = 10'000;

  static int64_t nanoseconds(TimePoint time) { return time.time_since_epoch().count(); }
  static int64_t cost_of(uint64_t limit, uint64_t count) {
    const Wide cost = static_cast<Wide>(count) * kMinute / limit;
    return static_cast<int64_t>(std::min<Wide>(cost, static_cast<Wide>(kMinute) * kMinutesMost));
  }

  std::atomic<int64_t> full_at_{std::numeric_limits<int64_t>::min() / 2};
};

}  // namespace kvasir
