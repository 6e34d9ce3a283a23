// How often a scraper may go round: as often as asked, or more seldom while it cannot keep up.
//
// Sans I/O. A round that was still under way when the next was due, or that took more than its
// share of a core, doubles the interval; rounds that would have fitted twice over halve it again.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace kvasir {

class ScrapePace {
 public:
  static constexpr double kBusyShareMax = 0.25;  // of a core
  static constexpr int kStretchMax = 64;         // times the asked interval
  static constexpr int kCalmRounds = 4;          // in a row, before it goes faster again

  explicit ScrapePace(Duration asked) : asked_(asked) {}

  Duration interval() const { return asked_ * stretch_; }
  bool stretched() const { return stretch_ > 1; }

  // One round: whether it was over before the next was due, and how long the thread was at work for
  // it. Returns whether stretched() changed.
  bool round_done(bool in_time, Duration busy) {
    const bool was = stretched();
    const double share = to_seconds(busy) / to_seconds(interval());
    if (!in_time || share > kBusyShareMax) {
      stretch_ = std::min(2 * stretch_, kStretchMax);
      calm_ = 0;
    } else if (stretched() && share < kBusyShareMax / 4 && ++calm_ >= kCalmRounds) {
      stretch_ /= 2;
      calm_ = 0;
    }
    return was != stretched();
  }

 private:
  const Duration asked_;
  int stretch_ = 1;
  int calm_ = 0;
};

}  // namespace kvasir
