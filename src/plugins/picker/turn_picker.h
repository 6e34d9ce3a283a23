// For pickers that choose one endpoint, ties in turn, and do not look at scores.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "plugins/rotation.h"
#include "scheduling/plugin.h"

namespace kvasir {

class TurnPicker {
 public:
  TurnPicker(size_t endpoints, size_t profiles) {
    candidates_.reserve(endpoints);
    for (uint32_t i = 0; i < profiles; ++i) rotations_.emplace_back(EndpointId{i});
  }

  // Swaps the endpoint with the least `cost(endpoint)` to the front, and names it; ties in turn, of
  // each profile (Cycle::profile) for itself. Precondition: at least one, in the order of their
  // ids.
  template <class Cost>
  EndpointId bring_forward(int profile, std::span<ScoredEndpoint> scored, Cost&& cost) {
    candidates_.clear();
    for (const ScoredEndpoint& candidate : scored) candidates_.push_back(candidate.endpoint);
    const EndpointId best = rotations_[profile].cheapest(candidates_, std::forward<Cost>(cost));
    const auto place = std::lower_bound(candidates_.begin(), candidates_.end(), best);
    std::swap(scored[0], scored[static_cast<size_t>(place - candidates_.begin())]);
    return best;
  }

 private:
  std::vector<Rotation> rotations_;     // of each profile; no two begin at the same place
  std::vector<EndpointId> candidates_;  // of the current pick
};

}  // namespace kvasir
