// How a request left admission, and what its client is told: the one table for every server.
#pragma once

#include <cstdint>
#include <string_view>

#include "scheduling/refusal.h"

namespace kvasir {

enum class FlowOutcome : uint8_t {
  kDispatched,
  // Flow control.
  kRejectedCapacity,         // its band, or all of them together, is full
  kRejectedNoEndpoints,      // the pool is empty and has no waiting room
  kEvictedTtl,               // it waited as long as it may
  kEvictedTtlNoEndpoints,    // the same, and the pool is empty
  kEvictedContextCancelled,  // its client left
  kEvictedNoEndpoints,       // the pool became empty under it, and it had waited too long for that
  kShuttingDown,
  kOther,
  // Ended while an endpoint was serving it.
  kEvicted,
  kEvictedQueuePressure,
  kEvictedPriority,
  // Without flow control.
  kShed,
  // The scheduler refused it.
  kNotAdmitted,
  kNoCandidates,
  kFiltered,
  kNotCached,
};
inline constexpr uint8_t kFlowOutcomes = 17;

struct FlowAnswer {
  int status = 0;
  std::string_view code;            // upstream's internal code: "ResourceExhausted", ...
  std::string_view dropped_reason;  // empty: the header is left out
  std::string_view text;
  std::string_view label;  // of the outcome, in metrics
};

const FlowAnswer& answer_for(FlowOutcome outcome);

FlowOutcome outcome_of(Refusal refusal);

}  // namespace kvasir
