// The answers of a KV-cache manager's API as JSON. docs/KV.md says where each field comes from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "kvmanager/cache_manager.h"

namespace kvasir {

// Of another manager of the same fleet, by its URL.
struct PeerState {
  bool reached = false;               // its last answer was one
  std::string problem = {};           // else
  size_t compared = 0;                // pods, in the last comparison
  size_t pods = 0;                    // that either of the two knows
  std::set<std::string> differing{};  // of which it knows something else
};
using PeerStates = std::map<std::string, PeerState>;

// POST /api/v1/score.
std::string score_json(const ScoreReport& report);
// GET /api/v1/cache/state.
std::string state_json(const FleetState& state, const PeerStates& peers, double now);
// GET /api/v1/cache/pods.
std::string pods_json(const FleetState& state);
// GET /api/v1/cache/pod/{id}.
std::string pod_json(const PodState& state, const std::vector<CacheManager::TopBlock>& top);
// Any error.
std::string error_json(std::string_view message);

// Seconds since 1970 as ISO 8601, in whole seconds.
std::string iso_time(double seconds);

}  // namespace kvasir
