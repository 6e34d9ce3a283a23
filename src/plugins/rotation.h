// Breaks ties between endpoints in turn: of equally good ones the next after the last pick gets the
// request, so that an idle fleet is used evenly and every run decides alike.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "model/endpoint.h"

namespace kvasir {

class Rotation {
 public:
  explicit Rotation(EndpointId first = EndpointId{0}) : next_(first) {}

  // The candidate with the least `cost(candidate)`; each is asked once. Precondition: at least one
  // candidate, ascending.
  template <class Cost>
  EndpointId cheapest(std::span<const EndpointId> candidates, Cost&& cost) {
    KVASIR_ASSERT(!candidates.empty(), "there is a candidate to choose");
    const size_t start =
        std::lower_bound(candidates.begin(), candidates.end(), next_) - candidates.begin();
    EndpointId best = candidates[start % candidates.size()];
    auto best_cost = cost(best);
    for (size_t i = start + 1; i < start + candidates.size(); ++i) {
      const EndpointId candidate = candidates[i % candidates.size()];
      const auto candidate_cost = cost(candidate);
      if (!(candidate_cost < best_cost)) continue;
      best = candidate;
      best_cost = candidate_cost;
    }
    next_ = EndpointId{index_of(best) + 1};
    return best;
  }

 private:
  EndpointId next_;
};

}  // namespace kvasir
