// endpoint-attribute-scorer (alpha): scores one of the endpoint's numbers, linearly.
//
// Formula: (value - min) / (max - min), or 1 less that when lower is better; min and max are fixed,
//   or the least and most of the candidates (all equal: 1).
// Inputs: the attribute (plugins/endpoint_attribute.h). Not reported: 0.
// Parameters: attributeKey (required), algorithm {type: linear_lower_is_better or
//   linear_higher_is_better; normalization {fixedRange {min, max}} or {adaptiveRange {}}, the
//   default}; producer is accepted and without effect.
//
//   - type: endpoint-attribute-scorer
//     parameters:
//       attributeKey: kv-cache-utilization
//       algorithm: {type: linear_lower_is_better, normalization: {fixedRange: {min: 0, max: 1}}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType endpoint_attribute_scorer_plugin();

}  // namespace kvasir
