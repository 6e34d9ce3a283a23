// How sure a difference is that was measured several times.
#pragma once

#include <span>

namespace kvasir {

struct Interval {
  double mean = 0;
  double low = 0;  // of the 95 % confidence interval
  double high = 0;
};

// Of `ones` less `others`, pair by pair, by Student's t. Precondition: as many of both, two or
// more.
Interval difference_interval(std::span<const double> ones, std::span<const double> others);

}  // namespace kvasir
