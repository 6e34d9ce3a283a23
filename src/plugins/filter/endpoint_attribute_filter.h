// endpoint-attribute-filter (alpha): keeps endpoints one of whose numbers compares true to a
// threshold.
//
// Formula: value OPERATOR threshold.
// Inputs: the attribute (plugins/endpoint_attribute.h). Not reported: kept with onMissing Pass,
// removed with Fail.
// Parameters: attribute (required), onMissing (Pass), fallbackOnEmpty (false: when nobody is left
//   everyone stays), algorithm {type: threshold, threshold {operator: LessThan, LessThanOrEqual,
//   GreaterThan, GreaterThanOrEqual, Equal or NotEqual; value}}; producer is accepted and without
//   effect.
//
//   - type: endpoint-attribute-filter
//     parameters:
//       attribute: kv-cache-utilization
//       algorithm: {type: threshold, threshold: {operator: LessThan, value: 0.9}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType endpoint_attribute_filter_plugin();

}  // namespace kvasir
