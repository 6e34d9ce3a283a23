// by-label, decode-filter, prefill-filter and encode-filter: keep endpoints by the value of one
// label.
//
// by-label (deprecated): keeps endpoints whose label is one of validValues, and those without it
// when allowsNoLabel. The others look at llm-d.ai/role:
//   decode-filter: decode, prefill-decode, both, encode-prefill-decode, or no label.
//   prefill-filter: prefill, encode-prefill, prefill-decode, both, encode-prefill-decode.
//   encode-filter: encode, encode-prefill, encode-prefill-decode.
// Inputs: the endpoint's labels.
// Parameters of by-label: label (required), validValues, allowsNoLabel (false); of the others:
// none.
//
//   - type: decode-filter
//   - type: by-label
//     parameters: {label: tier, validValues: [gold], allowsNoLabel: true}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType by_label_plugin();
PluginType decode_filter_plugin();
PluginType prefill_filter_plugin();
PluginType encode_filter_plugin();

}  // namespace kvasir
