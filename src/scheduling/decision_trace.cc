#include "scheduling/decision_trace.h"

namespace kvasir {

DecisionTrace::Entry& DecisionTrace::add(Step step, int profile, uint16_t plugin, Duration took) {
  Entry& entry = entries_.emplace_back();
  entry.step = step;
  entry.profile = static_cast<uint16_t>(profile);
  entry.plugin = plugin;
  entry.took = took;
  return entry;
}

void DecisionTrace::add_scores(Entry& entry, std::span<const EndpointId> endpoints,
                               std::span<const double> scores) {
  entry.scores_begin = static_cast<uint32_t>(scores_.size());
  for (size_t i = 0; i < endpoints.size(); ++i) scores_.push_back({endpoints[i], scores[i]});
  entry.scores_end = static_cast<uint32_t>(scores_.size());
}

}  // namespace kvasir
