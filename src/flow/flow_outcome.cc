#include "flow/flow_outcome.h"

#include <array>

namespace kvasir {
namespace {

constexpr std::string_view kExhausted = "ResourceExhausted";
constexpr std::string_view kUnavailable = "ServiceUnavailable";
constexpr std::string_view kInternal = "Internal";

constexpr std::array<FlowAnswer, kFlowOutcomes> kAnswers = {{
    {200, "", "", "", "Dispatched"},
    {429, kExhausted, "rejected-saturated", "the queue is full", "RejectedCapacity"},
    {503, kUnavailable, "rejected-no-endpoints", "no endpoint is available", "RejectedNoEndpoints"},
    {429, kExhausted, "rejected-ttl-expired", "the request waited too long", "EvictedTTL"},
    {503, kUnavailable, "rejected-ttl-expired", "the request waited too long for an endpoint",
     "EvictedTTL"},
    {503, kUnavailable, "rejected-context-cancelled", "the client left", "EvictedContextCancelled"},
    {503, kUnavailable, "rejected-no-endpoints", "the last endpoint is gone", "EvictedNoEndpoints"},
    {503, kUnavailable, "rejected-shutting-down", "shutting down", "EvictedShuttingDown"},
    {500, kInternal, "", "flow control failed", "EvictedOther"},
    {429, kExhausted, "evicted", "request evicted by flow control", "Evicted"},
    {429, kExhausted, "evicted-queue-pressure", "request evicted by flow control",
     "EvictedQueuePressure"},
    {429, kExhausted, "evicted-priority", "request evicted by flow control", "EvictedPriority"},
    {429, kExhausted, "", "system saturated, sheddable request dropped", "Shed"},
    {500, kInternal, "", "request cannot be admitted", "NotAdmitted"},
    {503, kUnavailable, "rejected-no-endpoints",
     "failed to find endpoint candidates for serving the request", "NoCandidates"},
    {429, kExhausted, "rejected-saturated", "no endpoints available for the given request",
     "Filtered"},
    {412, "PreconditionFailed", "", "no endpoint holds any of the prompt", "NotCached"},
}};

}  // namespace

const FlowAnswer& answer_for(FlowOutcome outcome) {
  return kAnswers[static_cast<size_t>(outcome)];
}

FlowOutcome outcome_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return FlowOutcome::kDispatched;
    case Refusal::kNoEndpoints:
      return FlowOutcome::kNoCandidates;
    case Refusal::kFiltered:
      return FlowOutcome::kFiltered;
    case Refusal::kNotAdmitted:
      return FlowOutcome::kNotAdmitted;
    case Refusal::kNotCached:
      return FlowOutcome::kNotCached;
  }
  return FlowOutcome::kOther;
}

}  // namespace kvasir
