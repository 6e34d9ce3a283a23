// The score of a count among the candidates' counts: (max - count) / (max - min); 1 for all when
// all are equal.
#pragma once

#include <algorithm>
#include <limits>
#include <span>

#include "model/endpoint.h"

namespace kvasir {

// `count(endpoint)` is asked once for each.
template <class Count>
void score_by_spread(std::span<const EndpointId> candidates, std::span<double> scores,
                     Count&& count) {
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (size_t i = 0; i < candidates.size(); ++i) {
    scores[i] = count(candidates[i]);
    least = std::min(least, scores[i]);
    most = std::max(most, scores[i]);
  }
  const double spread = most - least;
  for (double& score : scores) score = spread > 0 ? (most - score) / spread : 1;
}

}  // namespace kvasir
