// A fleet, a decision and its trace, for tests and benchmarks of what is reported of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "epp/probe.h"
#include "fleet/fleet.h"
#include "scheduling/decision_trace.h"

namespace kvasir {

// `endpoints` endpoints pod-0, pod-1, ... at 10.0.0.1:8000 and up; a decision for pod-1 by
// decode-filter (half are left), queue-scorer (0.5 for everyone) and active-request-scorer
// (1 / (1 + id)), summed up, and max-score-picker.
struct EppFixture {
  explicit EppFixture(uint32_t endpoints = 4) {
    for (uint32_t i = 0; i < endpoints; ++i) {
      EndpointState state;
      state.endpoint = std::make_shared<const Endpoint>(Endpoint{
          "pod-" + std::to_string(i), "10.0.0." + std::to_string(i + 1), 8000, {}});
      state.healthy = true;
      fleet.endpoints.push_back(state);
    }
    auto plugins = std::make_shared<PolicyLabels>();
    plugins->plugins = {{"decode-filter", "label-selector-filter"},
                        {"queue-scorer", "queue-scorer"},
                        {"active-request-scorer", "active-request-scorer"},
                        {"max-score-picker", "max-score-picker"},
                        {"prefix", "approx-prefix-cache-producer"}};
    plugins->profiles = {"default"};
    labels = plugins;
    decision.endpoint = EndpointId{1};
    decision.fallbacks[0] = EndpointId{0};
    decision.fallback_count = 1;
    decision.score = 1;
    decision.cached_tokens = 250;
    fill();
  }

  void fill() {
    using Step = DecisionTrace::Step;
    const auto left = static_cast<uint32_t>(fleet.endpoints.size() / 2);
    trace.begin(static_cast<uint32_t>(fleet.endpoints.size()));
    trace.set_labels(labels);
    trace.add(Step::kFilter, 0, 0, std::chrono::microseconds(3)).left = left;
    std::vector<EndpointId> ids;
    std::vector<double> queues(left, 0.5);
    std::vector<double> active;
    std::vector<ScoredEndpoint> totals;
    for (uint32_t i = 0; i < left; ++i) {
      ids.push_back(EndpointId{i});
      active.push_back(1.0 / (1 + i));
      totals.push_back({EndpointId{i}, queues[i] + active[i]});
    }
    trace.add_scores(trace.add(Step::kScore, 0, 1, std::chrono::microseconds(15)), ids, queues);
    trace.add_scores(trace.add(Step::kScore, 0, 2, std::chrono::microseconds(15)), ids, active);
    trace.add(Step::kPick, 0, 3, std::chrono::microseconds(1));
    if (left > 1) std::swap(totals[0], totals[1]);
    trace.set_totals(totals);
  }

  PickReport pick() const {
    PickReport report{{"req-1", "m", "m", "tenant-a", "", 0}, fleet, decision, trace};
    report.request_bytes = 2000;
    report.prompt_bytes = 1600;
    report.prompt_tokens = 1000;
    report.prompt_known = true;
    report.scheduling = std::chrono::microseconds(42);
    report.processing = std::chrono::microseconds(150);
    report.metrics_age = std::chrono::microseconds(12'500);
    return report;
  }

  RefusalReport refusal() const {
    RefusalReport report;
    report.labels = {"req-2", "m", "m", "tenant-a", "", 0};
    report.refusal = {429, "ResourceExhausted", "rejected-saturated",
                      "no endpoints available for the given request"};
    report.scheduling = std::chrono::microseconds(7);
    report.processing = std::chrono::microseconds(9);
    report.trace = &trace;
    return report;
  }

  EndReport end() const {
    EndReport report;
    report.labels = pick().labels;
    report.endpoint = fleet.endpoints[index_of(decision.endpoint)].endpoint.get();
    report.scheduled = true;
    report.status = 200;
    report.streaming = true;
    report.total = std::chrono::milliseconds(1100);
    report.first_byte = std::chrono::milliseconds(100);
    report.answer_bytes = 5000;
    report.processing = std::chrono::microseconds(300);
    report.prompt_tokens = 1000;
    report.completion_tokens = 101;
    report.cached_tokens = 256;
    return report;
  }

  Snapshot fleet;
  std::shared_ptr<const PolicyLabels> labels;
  Decision decision;
  DecisionTrace trace;
};

}  // namespace kvasir
