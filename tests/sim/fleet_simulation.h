// A whole fleet on virtual time: the real scheduler with a named policy in front of N engines.
//
// One queue of events, ordered by time and then by the order they were made, drives everything; the
// same inputs give the same events to the last one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/decision.h"
#include "prompts.h"
#include "scheduling/saturation.h"
#include "timing/engine_profile.h"
#include "workload.h"

namespace kvasir {

struct SimulationOptions {
  std::string policy;
  uint32_t workers = 8;
  EngineProfile profile;
  // What the policy predicts with; the engines' own profile when absent.
  std::optional<EngineProfile> predicted_profile;
  uint64_t policy_seed = 0;
  bool first_tokens_visible = true;
  // Requests wait at the gateway until a worker has little work ahead of it (serving/holding.h), as long as it takes.
  bool hold = false;
  Duration hold_threshold = kHoldThreshold;
};

struct SimulatedRequest {
  Decision decision;
  Duration held{};  // before it was sent to a worker
  Duration time_to_first_token{};
  Duration latency{};
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // at first admission
  uint32_t output_tokens = 0;
};

struct SimulationResult {
  std::vector<SimulatedRequest> requests;  // one for each row
  uint64_t events = 0;
  uint64_t event_hash = 0;  // over every event and every token, in order
};

double mean_ttft_seconds(const SimulationResult& result);
// The smallest time that `share` (0 to 1) of the requests do not exceed.
double ttft_percentile_seconds(const SimulationResult& result, double share);
// Cached prompt tokens over prompt tokens.
double hit_ratio(const SimulationResult& result);
// Mean over tokens, not over requests.
double inter_token_ms(const SimulationResult& result);

// `prompts` are make_prompts(workload). An error when the policy is unknown or a row can never run.
Result<SimulationResult> simulate_fleet(const SimulatedWorkload& workload,
                                        const std::vector<SimulatedPrompt>& prompts,
                                        const SimulationOptions& options);

}  // namespace kvasir
