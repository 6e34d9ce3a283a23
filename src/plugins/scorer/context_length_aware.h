// context-length-aware: scores, and when told so filters, endpoints by the range of prompt lengths
// they are meant for.
//
// Formula, with the label "min-max" in tokens: in range 0.3 + 0.7 * (0.7 / (1 + width / 10000) +
//   0.3 * headroom / width), width = max - min, headroom = max - length, and width 0 scores 1; out
//   of range 0.3 / (1 + distance / 1000); no label 0.5; a label that is no range 0. With
//   enableFiltering only endpoints in range and those without the label stay.
// Inputs: the prompt's length (an estimate unless it came as ids) and the label.
// Parameters: label (llm-d.ai/context-length-range), enableFiltering (false).
//
//   - type: context-length-aware
//     parameters: {enableFiltering: true}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType context_length_aware_plugin();

}  // namespace kvasir
