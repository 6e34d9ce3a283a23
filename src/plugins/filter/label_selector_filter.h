// label-selector-filter (deprecated name: by-label-selector): keeps endpoints whose labels fit a
// Kubernetes selector.
//
// Formula: every pair of matchLabels is there, and every one of matchExpressions holds: In and
//   NotIn the values, Exists, DoesNotExist. NotIn also holds without the label, as in Kubernetes.
// Inputs: the endpoint's labels. An empty selector keeps everyone.
// Parameters: the selector itself.
//
//   - type: label-selector-filter
//     parameters:
//       matchLabels: {llm-d.ai/kv-backend: nvlink}
//       matchExpressions: [{key: role, operator: In, values: [proxy]}]
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType label_selector_filter_plugin();
PluginType by_label_selector_plugin();

}  // namespace kvasir
