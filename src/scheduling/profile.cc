#include "scheduling/profile.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"
#include "fleet/snapshot.h"
#include "scheduling/decision_trace.h"

namespace kvasir {

// How long each plugin takes, one after the other, when somebody wants to know.
class Profile::Stopwatch {
 public:
  explicit Stopwatch(const Cycle& cycle) : trace_(cycle.trace) {
    if (trace_ != nullptr) last_ = trace_->now();
  }
  // Since the last lap. Precondition: somebody wants to know.
  Duration lap() {
    const TimePoint now = trace_->now();
    return now - std::exchange(last_, now);
  }

 private:
  const DecisionTrace* trace_;
  TimePoint last_{};
};

Profile::Profile(int index, ProfilePlugins plugins) : index_(index), plugins_(std::move(plugins)) {
  KVASIR_ASSERT(plugins_.picker != nullptr, "a profile has a picker");
}

ProfileResult Profile::run(const Cycle& cycle) {
  Stopwatch watch(cycle);
  find_candidates(cycle, watch);
  if (candidates_.empty()) return ProfileResult{index_, {}, {}};

  scored_.clear();
  for (const EndpointId endpoint : candidates_) scored_.push_back({endpoint, 0});
  for (const WeightedScorer& weighted : plugins_.scorers) add_scores(cycle, weighted, watch);
  const size_t chosen = plugins_.picker->pick(cycle, scored_);
  if (cycle.trace != nullptr) {
    cycle.trace->add(DecisionTrace::Step::kPick, index_, plugins_.picker_label, watch.lap());
  }
  KVASIR_ASSERT(chosen > 0 && chosen <= scored_.size(), "a picker chooses one at least");
  const std::span<const ScoredEndpoint> scored(scored_);
  return ProfileResult{index_, scored.first(chosen), scored};
}

void Profile::find_candidates(const Cycle& cycle, Stopwatch& watch) {
  if (cycle.widened) return find_best_rank(cycle, watch);
  candidates_.assign(cycle.candidates.begin(), cycle.candidates.end());
  run_filters(cycle, watch);
}

// Of the best rank of which the filters leave somebody. Unhealthy ones only when the filters leave
// nobody who is healthy, tried or not: who failed a request has shown at least that it answers.
void Profile::find_best_rank(const Cycle& cycle, Stopwatch& watch) {
  using Rank = EndpointState::Rank;
  const auto find_of = [&](std::span<const EndpointId> among, Rank best, Rank worst) {
    candidates_.clear();
    for (const EndpointId id : among) {
      const Rank rank = cycle.fleet.endpoints[index_of(id)].rank();
      if (rank >= best && rank <= worst) candidates_.push_back(id);
    }
    run_filters(cycle, watch);
    return !candidates_.empty();
  };
  if (find_of(cycle.candidates, Rank::kAvailable, Rank::kAvailable)) return;
  if (find_of(cycle.candidates, Rank::kEjected, Rank::kEjected)) return;
  if (find_of(cycle.tried, Rank::kAvailable, Rank::kEjected)) return candidates_.clear();
  find_of(cycle.candidates, Rank::kReachable, Rank::kReachable);
}

void Profile::run_filters(const Cycle& cycle, Stopwatch& watch) {
  for (size_t i = 0; i < plugins_.filters.size() && !candidates_.empty(); ++i) {
    plugins_.filters[i]->filter(cycle, candidates_);
    if (candidates_.empty()) tell_nobody_left(cycle, i);
    if (cycle.trace == nullptr) continue;
    const uint16_t label = i < plugins_.filter_labels.size() ? plugins_.filter_labels[i] : 0;
    cycle.trace->add(DecisionTrace::Step::kFilter, index_, label, watch.lap()).left =
        static_cast<uint32_t>(candidates_.size());
  }
}

void Profile::tell_nobody_left(const Cycle& cycle, size_t filter) {
  if (plugins_.filter_probe == nullptr || filter >= plugins_.filter_names.size()) return;
  if (cycle.candidates.empty() || cycle.widened) return;  // it was told of the first try
  told_.resize(plugins_.filters.size());
  const bool first = !told_[filter];
  told_[filter] = true;
  const std::string why = first ? plugins_.filters[filter]->why_nobody(cycle) : std::string();
  plugins_.filter_probe->on_filter_left_nobody(plugins_.filter_names[filter], first, why);
}

void Profile::add_scores(const Cycle& cycle, const WeightedScorer& weighted, Stopwatch& watch) {
  scores_.assign(candidates_.size(), 0);
  weighted.scorer->score(cycle, candidates_, scores_);
  if (cycle.trace != nullptr) {
    auto& entry =
        cycle.trace->add(DecisionTrace::Step::kScore, index_, weighted.label, watch.lap());
    cycle.trace->add_scores(entry, candidates_, scores_);
  }
  if (plugins_.metrics_half_life > Duration::zero() && weighted.scorer->reads_metrics()) {
    age_scores(cycle);
  }
  for (size_t i = 0; i < scores_.size(); ++i) {
    const double score = scores_[i];
    const double clamped = std::min(std::max(score, 0.0), 1.0);
    // Only NaN differs from itself.
    scored_[i].score += score == score ? clamped * weighted.weight : 0;
  }
}

void Profile::age_scores(const Cycle& cycle) {
  constexpr double kSaysNothing = 0.5;
  for (size_t i = 0; i < scores_.size(); ++i) {
    const TimePoint read_at = cycle.fleet.endpoints[index_of(candidates_[i])].metrics.read_at;
    if (read_at == TimePoint{} || read_at >= cycle.now) continue;
    const double lives = to_seconds(cycle.now - read_at) / to_seconds(plugins_.metrics_half_life);
    const double clamped = std::min(std::max(scores_[i], 0.0), 1.0);
    if (scores_[i] == scores_[i]) {
      scores_[i] = kSaysNothing + (clamped - kSaysNothing) * std::exp2(-lives);
    }
  }
}

}  // namespace kvasir
