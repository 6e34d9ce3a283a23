// The arms of a comparison: ways to route, as a fleet's operator would choose them.
#pragma once

#include <span>
#include <string_view>

#include "fleet_simulation.h"

namespace kvasir {

struct Arm {
  std::string_view name;
  std::string_view policy;  // a named one,
  std::string_view config;  // or an EndpointPickerConfig
  bool hold = false;
  bool prefilling_waits = false;  // see SimulationOptions
  bool kv_events = false;         // caches are known by the engines' events
};

// Round robin first; dynamo, llm-d and lmetric decide by those routers' rules; kv with holding
// last.
std::span<const Arm> comparison_arms();

// Null: there is none of that name.
const Arm* find_arm(std::string_view name);

SimulationOptions options_of(const Arm& arm, const EngineProfile& profile);

}  // namespace kvasir
