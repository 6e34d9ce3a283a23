// How much slower than predicted prefills turn out to be, learned from prefills that were seen to
// end: the factor that predictions are multiplied by. A model wrong by a factor of 4 costs the
// policy little once its scale is learned.
//
//   scale *= clamp(actual / predicted, 1/4, 4) ^ 0.05, for predictions above 50 ms
//
// Not thread-safe.
#pragma once

#include "base/clock.h"

namespace kvasir {

class LearnedScale {
 public:
  // Shorter prefills say more about the network than about the model.
  static constexpr Duration kShortestLesson = std::chrono::milliseconds(50);
  // The scale stays between 1 / kLargest and kLargest, whatever is observed.
  static constexpr double kLargest = 1000;

  // Predictions up to `shortest` teach nothing.
  explicit LearnedScale(Duration shortest = kShortestLesson) : shortest_(shortest) {}

  double value() const { return value_; }

  // `predicted`: with the scale of that time already in it. Observe only prefills that waited for
  // nothing that the prediction leaves out.
  void observe(Duration predicted, Duration actual);

 private:
  Duration shortest_;
  double value_ = 1;
};

}  // namespace kvasir
