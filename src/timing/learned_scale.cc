#include "timing/learned_scale.h"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

constexpr double kLargestRatio = 4;
constexpr double kRate = 0.05;

}  // namespace

void LearnedScale::observe(Duration predicted, Duration actual) {
  if (predicted <= shortest_) return;
  const double ratio = to_seconds(actual) / to_seconds(predicted);
  const double lesson = std::pow(std::clamp(ratio, 1 / kLargestRatio, kLargestRatio), kRate);
  value_ = std::clamp(value_ * lesson, 1 / kLargest, kLargest);
}

}  // namespace kvasir
