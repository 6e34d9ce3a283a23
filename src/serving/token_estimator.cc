#include "serving/token_estimator.h"

#include <algorithm>
#include <limits>

namespace kvasir {
namespace {

constexpr size_t kShortestLesson = 256;     // bytes
constexpr double kLearningRate = 0.05;      // of the way to what was seen
constexpr double kBytesPerTokenMin = 0.25;  // beyond these an answer is not believed
constexpr double kBytesPerTokenMax = 64;

}  // namespace

uint32_t TokenEstimator::estimate(size_t prompt_bytes) const {
  const double tokens =
      static_cast<double>(prompt_bytes) / bytes_per_token_.load(std::memory_order_relaxed);
  return static_cast<uint32_t>(std::clamp(tokens, 1.0, double(std::numeric_limits<uint32_t>::max())));
}

void TokenEstimator::learn(size_t prompt_bytes, uint32_t tokens) {
  if (prompt_bytes < kShortestLesson || tokens == 0) return;
  const double seen = static_cast<double>(prompt_bytes) / tokens;
  if (seen < kBytesPerTokenMin || seen > kBytesPerTokenMax) return;
  const double old = bytes_per_token_.load(std::memory_order_relaxed);
  bytes_per_token_.store(old + kLearningRate * (seen - old), std::memory_order_relaxed);
}

}  // namespace kvasir
