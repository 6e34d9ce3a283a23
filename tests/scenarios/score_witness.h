// Sees what pickers see: for messages that show every candidate's score.
#pragma once

#include <vector>

#include "scheduling/registry.h"

namespace kvasir {

// What the profiles of one decision scored, in the order they ran.
class ScoreWitness {
 public:
  void clear() { scored_.clear(); }
  void saw(std::span<const ScoredEndpoint> scored) {
    scored_.emplace_back(scored.begin(), scored.end());
  }
  const std::vector<std::vector<ScoredEndpoint>>& scored() const { return scored_; }

 private:
  std::vector<std::vector<ScoredEndpoint>> scored_;
};

// The same types, whose pickers tell `witness` what they were given. It must outlive what they
// make.
Registry witnessed(const Registry& registry, ScoreWitness& witness);

}  // namespace kvasir
