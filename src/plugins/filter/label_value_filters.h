// by-label, decode-filter, prefill-filter and encode-filter: keep endpoints by the value of one
// label.
//
// Formula of by-label (deprecated): the label is one of validValues, or there is none and
//   allowsNoLabel.
// Formula of decode-filter: llm-d.ai/role is decode, prefill-decode, both or encode-prefill-decode,
//   or there is no such label.
// Formula of prefill-filter: it is prefill, encode-prefill, prefill-decode, both or
//   encode-prefill-decode.
// Formula of encode-filter: it is encode, encode-prefill or encode-prefill-decode.
// Inputs: the endpoint's labels.
// Parameters of by-label: label (required), validValues, allowsNoLabel (false).
// Parameters of the others: none.
//
//   - type: decode-filter
//   - type: by-label
//     parameters: {label: tier, validValues: [gold], allowsNoLabel: true}
#pragma once

#include "model/endpoint.h"
#include "scheduling/registry.h"

namespace kvasir {

PluginType by_label_plugin();
PluginType decode_filter_plugin();
PluginType prefill_filter_plugin();
PluginType encode_filter_plugin();

// Whether prefill-filter keeps it.
bool may_prefill(const Endpoint& endpoint);

}  // namespace kvasir
