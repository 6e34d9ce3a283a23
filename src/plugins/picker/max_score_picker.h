// max-score-picker: the endpoints with the highest scores.
//
// Formula: highest score first. Endpoints of equal score take turns: a counter of each profile
//   rotates each tier by one at each pick there, because random ties were seen to pile up in a
//   burst.
// Inputs: the scores. Without scorers every endpoint is equal, so this is round-robin.
// Parameters: maxNumOfEndpoints (1): how many to choose; those after the first are fallbacks.
//
//   - type: max-score-picker
//     parameters: {maxNumOfEndpoints: 3}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType max_score_picker_plugin();

}  // namespace kvasir
