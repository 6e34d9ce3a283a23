// lora-affinity-scorer: prefers endpoints that have the request's LoRA adapter at hand.
//
// Formula: the adapter runs there: 1; there is room for one more (running + waiting < max): 0.8; it
//   waits there: 0.6; else 0. The adapter is the request's model.
// Inputs: the engine's lora_requests_info. Not reported: no adapters and no room, so 0.
// Parameters: none.
//
//   - type: lora-affinity-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType lora_affinity_scorer_plugin();

}  // namespace kvasir
