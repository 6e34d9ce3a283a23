// What the plugins of a policy did, from traces of its decisions: how long each took
// (plugin_duration_seconds), how much of the prompt was expected in the cache (prefix_indexer_*),
// whether prefill was separate (disagg_decision_total), whether sessions stayed where they were.
//
// The metrics of a policy are looked up once and found by the address of its labels. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "epp/probe.h"
#include "scheduling/decision_trace.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"

namespace kvasir {

// Policies with different plugins that are told apart; those of later ones are not measured.
inline constexpr size_t kPoliciesMax = 64;

class PolicySeries {
 public:
  // `registry` must outlive it.
  explicit PolicySeries(MetricRegistry& registry);

  // `model` is a label: capped.
  void picked(const PickReport& report, std::string_view model);
  // The plugins that ran before it was refused.
  void refused(const DecisionTrace& trace);

 private:
  struct Policy {
    std::atomic<const PolicyLabels*> identity{nullptr};
    std::shared_ptr<const PolicyLabels> labels;  // keeps the address taken; under the mutex
    std::vector<PluginLabel> plugins;
    std::unique_ptr<std::atomic<Histogram*>[]> durations;  // step * plugins + plugin
    std::vector<bool> is_session_scorer;
    const PluginLabel* disagg = nullptr;
    Histogram* hit_ratio = nullptr;  // with a prefix producer only, as the next
    Histogram* hit_bytes = nullptr;
  };

  Policy* policy_of(const DecisionTrace& trace);
  Policy* find_or_make(const std::shared_ptr<const PolicyLabels>& labels);
  std::unique_ptr<Policy> make(const std::shared_ptr<const PolicyLabels>& labels);
  void observe_steps(Policy& policy, const DecisionTrace& trace);
  Histogram& duration_of(Policy& policy, const DecisionTrace::Entry& entry, size_t place);
  void observe_prefix(const Policy& policy, const PickReport& report);
  void count_disaggregation(const Policy& policy, const PickReport& report, std::string_view model);
  void count_session(const Policy& policy, const PickReport& report);

  MetricRegistry& registry_;
  Counter& candidates_;
  Counter& filtered_;
  Counter& scored_;
  HandleTable<Counter*> disaggregation_;
  std::atomic<Counter*> affinity_hits_{nullptr};
  std::atomic<Counter*> affinity_misses_{nullptr};
  std::atomic<Policy*> current_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Policy>> policies_;  // under the mutex; never removed
};

}  // namespace kvasir
