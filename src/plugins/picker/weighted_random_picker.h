// weighted-random-picker: endpoints at random, each as likely as its share of the scores.
//
// Formula: A-Res (Efraimidis and Spirakis): key = U^(1/score) with U uniform in (0, 1); the highest
//   keys are chosen. A score of 0 or less has the key 0, so it is never chosen before a positive
//   one; when all are so, uniform.
// Inputs: the scores. The same seed and the same calls give the same picks.
// Parameters: maxNumOfEndpoints (1): how many to choose, without repetition; those after the first
// are fallbacks.
//
//   - type: weighted-random-picker
//     parameters: {maxNumOfEndpoints: 2}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType weighted_random_picker_plugin();

}  // namespace kvasir
