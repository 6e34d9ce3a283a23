#include "scheduling/profile.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvasir {

Profile::Profile(int index, ProfilePlugins plugins) : index_(index), plugins_(std::move(plugins)) {
  KVASIR_ASSERT(plugins_.picker != nullptr, "a profile has a picker");
}

ProfileResult Profile::run(const Cycle& cycle) {
  candidates_.assign(cycle.candidates.begin(), cycle.candidates.end());
  for (const Filter* filter : plugins_.filters) {
    if (candidates_.empty()) break;
    filter->filter(cycle, candidates_);
  }
  if (candidates_.empty()) return ProfileResult{index_, {}, {}};

  scored_.clear();
  for (const EndpointId endpoint : candidates_) scored_.push_back({endpoint, 0});
  for (const WeightedScorer& weighted : plugins_.scorers) add_scores(cycle, weighted);
  const size_t chosen = plugins_.picker->pick(cycle, scored_);
  KVASIR_ASSERT(chosen > 0 && chosen <= scored_.size(), "a picker chooses one at least");
  const std::span<const ScoredEndpoint> scored(scored_);
  return ProfileResult{index_, scored.first(chosen), scored};
}

void Profile::add_scores(const Cycle& cycle, const WeightedScorer& weighted) {
  scores_.assign(candidates_.size(), 0);
  weighted.scorer->score(cycle, candidates_, scores_);
  for (size_t i = 0; i < scores_.size(); ++i) {
    const double score = scores_[i];
    const double clamped = std::min(std::max(score, 0.0), 1.0);
    // Only NaN differs from itself.
    scored_[i].score += score == score ? clamped * weighted.weight : 0;
  }
}

}  // namespace kvasir
