#include "difference_interval.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "base/assert.h"

namespace kvasir {
namespace {

// Student's t for 95 %, two-sided, by degrees of freedom from 1 on; beyond them the last one, which
// is a little too careful.
constexpr std::array<double, 30> kStudentT = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

}  // namespace

Interval difference_interval(std::span<const double> ones, std::span<const double> others) {
  KVASIR_ASSERT(ones.size() == others.size() && ones.size() >= 2, "there are pairs");
  const auto count = static_cast<double>(ones.size());
  double sum = 0, squares = 0;
  for (size_t i = 0; i < ones.size(); ++i) sum += ones[i] - others[i];
  const double mean = sum / count;
  for (size_t i = 0; i < ones.size(); ++i) squares += std::pow(ones[i] - others[i] - mean, 2);
  const double t = kStudentT[std::min(ones.size() - 2, kStudentT.size() - 1)];
  const double half = t * std::sqrt(squares / (count - 1) / count);
  return {mean, mean - half, mean + half};
}

}  // namespace kvasir
