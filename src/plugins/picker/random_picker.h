// random-picker: any candidate, each equally likely, whatever its score.
//
// Formula: a draw without repetition, uniform.
// Inputs: none. The same seed and the same calls give the same picks.
// Parameters: maxNumOfEndpoints (1): how many to choose, without repetition; those after the first
// are fallbacks.
//
//   - type: random-picker
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType random_picker_plugin();

}  // namespace kvasir
