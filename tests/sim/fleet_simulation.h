// A whole fleet on virtual time: the gateway's Pool in front of N engines. What decides is what
// decides in the gateway: configuration, admission, scheduler, policy. Only the network is missing.
//
// One thread; the same inputs give the same run to the last token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/decision.h"
#include "scheduling/saturation.h"
#include "timing/engine_profile.h"
#include "workload.h"

namespace kvasir {

struct SimulationOptions {
  std::string policy;  // a named one,
  // or the text of an EndpointPickerConfig. Its metrics are always fresh, and it may name
  // exact-prefix-cache-producer (exact_prefix_cache.h).
  std::string config;
  // A worker's metrics count requests that are being prefilled as waiting, not as running: a queue
  // that tells more than vLLM's num_requests_waiting, which is of those that no step has begun.
  bool prefilling_waits = false;
  uint32_t workers = 8;
  // Each gets its share of the requests, and knows nothing of the others but what engines say.
  uint32_t gateways = 1;
  // Engines publish KV events, which the gateways read so long after the end of each step. nullopt:
  // they do not.
  std::optional<Duration> kv_event_lag;
  EngineProfile profile;
  // What the policy predicts with; the engines' own profile when absent.
  std::optional<EngineProfile> predicted_profile;
  uint64_t policy_seed = 0;
  bool first_tokens_visible = true;
  // Requests wait at the gateway until a worker has little work ahead of it (serving/holding.h).
  bool hold = false;
  Duration hold_threshold = kHoldThreshold;
  Duration held_most = std::chrono::hours(24);
  // The label llm-d.ai/role of each worker; empty: they have none. Where the decision says so, one
  // worker prefills, and its KV reaches the one that decodes after hop + bytes / link.
  std::vector<std::string> roles;
  Duration hop = std::chrono::milliseconds(5);
  double link_gb_per_s = 25;
};

struct SimulatedRequest {
  // Refused by the worker: prompt and answer are longer than it takes. It has no times.
  bool refused = false;
  Decision decision;
  bool apart = false;  // it was prefilled elsewhere than decoded
  Duration held{};     // before it was sent to a worker
  Duration time_to_first_token{};
  Duration latency{};
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // at first admission
  uint32_t output_tokens = 0;
};

struct SimulationResult {
  std::vector<SimulatedRequest> requests;  // one for each row
  Duration makespan{};                     // from the first arrival to the last end
  uint64_t tokens_hash = 0;                // over every token: when, where and whose, in order
};

// Over those that were not refused.
size_t served(const SimulationResult& result);
double mean_ttft_seconds(const SimulationResult& result);
double mean_latency_seconds(const SimulationResult& result);
// The smallest time that `share` (0 to 1) of the requests do not exceed.
double ttft_percentile_seconds(const SimulationResult& result, double share);
// Cached prompt tokens over prompt tokens.
double hit_ratio(const SimulationResult& result);
// Mean over tokens, not over requests.
double inter_token_ms(const SimulationResult& result);
// Of those that were served, the share that was prefilled apart.
double apart_ratio(const SimulationResult& result);
double requests_per_second(const SimulationResult& result);

// An error when the policy or the configuration cannot be used.
Result<SimulationResult> simulate_fleet(const SimulatedWorkload& workload,
                                        const SimulationOptions& options);

}  // namespace kvasir
