#include "flow/flow_outcome.h"

#include <gtest/gtest.h>

#include <set>

namespace kvasir {
namespace {

// The rows of endpoint_picker.md §1.4 that flow control, admission and the scheduler end in.
TEST(FlowOutcome, EachRowOfTheReferenceHasItsStatusReasonAndText) {
  const struct {
    FlowOutcome outcome;
    int status;
    const char* code;
    const char* reason;
    const char* text;  // null: free
  } rows[] = {
      {FlowOutcome::kRejectedCapacity, 429, "ResourceExhausted", "rejected-saturated", nullptr},
      {FlowOutcome::kRejectedNoEndpoints, 503, "ServiceUnavailable", "rejected-no-endpoints",
       nullptr},
      {FlowOutcome::kEvictedNoEndpoints, 503, "ServiceUnavailable", "rejected-no-endpoints",
       nullptr},
      {FlowOutcome::kEvictedTtl, 429, "ResourceExhausted", "rejected-ttl-expired", nullptr},
      {FlowOutcome::kEvictedTtlNoEndpoints, 503, "ServiceUnavailable", "rejected-ttl-expired",
       nullptr},
      {FlowOutcome::kEvictedContextCancelled, 503, "ServiceUnavailable",
       "rejected-context-cancelled", nullptr},
      {FlowOutcome::kShuttingDown, 503, "ServiceUnavailable", "rejected-shutting-down", nullptr},
      {FlowOutcome::kOther, 500, "Internal", "", nullptr},
      {FlowOutcome::kEvicted, 429, "ResourceExhausted", "evicted",
       "request evicted by flow control"},
      {FlowOutcome::kEvictedQueuePressure, 429, "ResourceExhausted", "evicted-queue-pressure",
       "request evicted by flow control"},
      {FlowOutcome::kEvictedPriority, 429, "ResourceExhausted", "evicted-priority",
       "request evicted by flow control"},
      {FlowOutcome::kShed, 429, "ResourceExhausted", "",
       "system saturated, sheddable request dropped"},
      {FlowOutcome::kNotAdmitted, 500, "Internal", "", "request cannot be admitted"},
      {FlowOutcome::kNoCandidates, 503, "ServiceUnavailable", "rejected-no-endpoints",
       "failed to find endpoint candidates for serving the request"},
      {FlowOutcome::kFiltered, 429, "ResourceExhausted", "rejected-saturated",
       "no endpoints available for the given request"},
      {FlowOutcome::kNotCached, 412, "PreconditionFailed", "", nullptr},
  };
  std::set<FlowOutcome> seen = {FlowOutcome::kDispatched};
  for (const auto& row : rows) {
    const FlowAnswer& answer = answer_for(row.outcome);
    EXPECT_EQ(answer.status, row.status) << answer.label;
    EXPECT_EQ(answer.code, row.code) << answer.label;
    EXPECT_EQ(answer.dropped_reason, row.reason) << answer.label;
    EXPECT_EQ(answer.text, row.text == nullptr ? answer.text : row.text) << answer.label;
    EXPECT_FALSE(answer.text.empty()) << answer.label;
    seen.insert(row.outcome);
  }
  EXPECT_EQ(seen.size(), kFlowOutcomes);
}

}  // namespace
}  // namespace kvasir
