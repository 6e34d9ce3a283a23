// predicted-cost-picker (alpha): the endpoints where the request costs the least time, its own and
// everyone's. Upstream does not have it.
//
// Formula: argmin of wait + (2 + 0.02 * n) * d seconds; ties in turn. wait: the work ahead of it
//   there; d: the prefill of its tokens not cached there, through the engine profile's step model
//   times a scale that first tokens teach; n: the sequences that decode there. It is that of the
//   policy kv (plugins/cost/predicted_cost_policy.h).
// Intent: load is measured in seconds of work, so that it can be weighed against a cache hit. For
//   profiles of filters: scores do not count.
// Inputs: a PrefixMatches producer, approx-prefix-cache-producer when none is configured; the
//   prompt's length, first tokens and ends; the profile of --engine-profile. A configuration with
//   several profiles is refused: work is booked where a request both prefills and decodes.
// As a saturation detector: the least wait of the endpoints over saturatedWait, so that below 1
// some
//   endpoint is about to run dry.
// Parameters: maxNumOfEndpoints (1): how many to choose; those after the first are fallbacks, the
//   cheapest first; prefixMatchInfoProducerName (the only one there is); saturatedWait (what
//   --hold-threshold says: 50ms).
//
//   - type: predicted-cost-picker
//     parameters: {maxNumOfEndpoints: 3}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType predicted_cost_picker_plugin();

}  // namespace kvasir
