// A scheduling profile: filters, weighted scorers and a picker that choose among candidates.
//
//   final(endpoint) = sum over the scorers of clamp(score, 0, 1) * weight
//
// With a half-life of metrics, a score that comes from metrics of age a is pulled towards 0.5, which says nothing:
//
//   0.5 + (score - 0.5) * 2^(-a / half-life)
//
// A score that is NaN adds nothing. It allocates nothing once it has seen its largest fleet.
#pragma once

#include <string>
#include <vector>

#include "scheduling/filter_probe.h"
#include "scheduling/plugin.h"

namespace kvasir {

struct WeightedScorer {
  const Scorer* scorer = nullptr;
  double weight = 1;
  uint16_t label = 0;  // its place in PolicyLabels::plugins, here and below
};

// The plugins are borrowed and must outlive their use.
struct ProfilePlugins {
  std::string name;
  std::vector<const Filter*> filters;  // in the order they run
  std::vector<WeightedScorer> scorers;
  Picker* picker = nullptr;
  std::vector<uint16_t> filter_labels;  // of `filters`; may be shorter
  std::vector<std::string> filter_names;  // the same
  FilterProbe* filter_probe = nullptr;    // null: nobody hears
  uint16_t picker_label = 0;
  Duration metrics_half_life{};  // zero: scores do not age
};

class Profile {
 public:
  // Precondition: it has a picker.
  Profile(int index, ProfilePlugins plugins);

  // The views of the result are valid until the next run.
  ProfileResult run(const Cycle& cycle);

  const std::string& name() const { return plugins_.name; }

 private:
  class Stopwatch;

  void find_candidates(const Cycle& cycle, Stopwatch& watch);
  void find_best_rank(const Cycle& cycle, Stopwatch& watch);
  void run_filters(const Cycle& cycle, Stopwatch& watch);
  void tell_nobody_left(const Cycle& cycle, size_t filter);
  void add_scores(const Cycle& cycle, const WeightedScorer& weighted, Stopwatch& watch);
  void age_scores(const Cycle& cycle);

  const int index_;
  const ProfilePlugins plugins_;
  std::vector<bool> told_;  // by filter: that it left nobody
  std::vector<EndpointId> candidates_;
  std::vector<double> scores_;
  std::vector<ScoredEndpoint> scored_;
};

}  // namespace kvasir
