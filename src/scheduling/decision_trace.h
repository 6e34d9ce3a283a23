// What happened on the way to one decision: which plugins ran, what they left or gave, how long
// they took. For decision logs and metrics; whoever wants none passes none and pays nothing.
//
// Filled under the scheduler's mutex, read by its owner afterwards. Memory is used again from one
// decision to the next, so keep one for each thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scheduling/plugin.h"

namespace kvasir {

struct PluginLabel {
  std::string name;
  std::string type;
};

// Of one policy: shared by all of its traces.
struct PolicyLabels {
  std::vector<PluginLabel> plugins;
  std::vector<std::string> profiles;
};

class DecisionTrace {
 public:
  // Plugins are not timed.
  DecisionTrace() = default;
  // `clock` times them: real time, whatever clock the policy runs on. It must outlive this.
  explicit DecisionTrace(const Clock& clock) : clock_(&clock) {}

  enum class Step : uint8_t { kProduce, kFilter, kScore, kPick };
  struct Entry {
    Step step{};
    uint16_t profile = 0;  // its place in PolicyLabels::profiles; 0 for producers
    uint16_t plugin = 0;   // its place in PolicyLabels::plugins
    Duration took{};
    uint32_t left = 0;          // endpoints behind a filter
    uint32_t scores_begin = 0;  // of a scorer, as it gave them: scores[scores_begin, scores_end)
    uint32_t scores_end = 0;
  };

  void begin(uint32_t candidates) {
    candidates_ = candidates;
    entries_.clear();
    scores_.clear();
    totals_.clear();
  }
  void set_labels(const std::shared_ptr<const PolicyLabels>& labels) {
    if (labels_ != labels) labels_ = labels;
  }
  Entry& add(Step step, int profile, uint16_t plugin, Duration took);
  void add_scores(Entry& entry, std::span<const EndpointId> endpoints,
                  std::span<const double> scores);
  void set_totals(std::span<const ScoredEndpoint> totals) {
    totals_.assign(totals.begin(), totals.end());
  }

  TimePoint now() const { return clock_ == nullptr ? TimePoint{} : clock_->now(); }
  // Null when the policy is not made of plugins.
  const std::shared_ptr<const PolicyLabels>& labels() const { return labels_; }
  uint32_t candidates() const { return candidates_; }  // before any filter
  std::span<const Entry> entries() const { return entries_; }
  std::span<const ScoredEndpoint> scores(const Entry& entry) const {
    return std::span<const ScoredEndpoint>(scores_).subspan(entry.scores_begin,
                                                            entry.scores_end - entry.scores_begin);
  }
  // Weighted sums of the primary profile, the chosen ones first.
  std::span<const ScoredEndpoint> totals() const { return totals_; }

 private:
  const Clock* clock_ = nullptr;
  std::shared_ptr<const PolicyLabels> labels_;
  uint32_t candidates_ = 0;
  std::vector<Entry> entries_;
  std::vector<ScoredEndpoint> scores_;
  std::vector<ScoredEndpoint> totals_;
};

}  // namespace kvasir
