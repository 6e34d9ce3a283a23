// How long to wait before the next try: longer after each failure, never longer than a limit, with
// jitter so that many clients of one server do not come back together.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"

namespace kvasir {

class RetryPause {
 public:
  // `random` must outlive it.
  RetryPause(Duration min, Duration max, Random& random) : min_(min), max_(max), random_(random) {}

  // Counts a failure. Twice as long as the time before, from `min` to `max`, of which up to the
  // half is cut at random.
  Duration next() {
    ++failures_;
    whole_ = failures_ == 1 ? min_ : std::min(max_, scaled(whole_, 2));
    return scaled(whole_, 1 - random_.uniform() / 2);
  }
  size_t failures() const { return failures_; }
  void reset() { failures_ = 0; }

 private:
  const Duration min_;
  const Duration max_;
  Random& random_;
  size_t failures_ = 0;
  Duration whole_{};
};

}  // namespace kvasir
