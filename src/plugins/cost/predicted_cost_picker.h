// predicted-cost-picker (alpha): the endpoints where the request costs the least time, its own and
// everyone's. It is the policy kv, and load-cost without knowledge of prefixes. Upstream does not
// have it.
//
// Formula: argmin over the candidates w of wait(w) + 2 d(w) + 0.02 n(w) d(w) seconds; ties in turn.
//   wait(w): the work ahead of it there (plugins/cost/work_ledger.h); d(w): the prefill of its
//   tokens not cached there, beside what decodes there, through the engine profile's step model
//   times a learned scale; n(w): the sequences that decode there, each stalled by this prefill.
//   As a saturation detector: the least wait over saturatedWait, so that below 1 some endpoint
//   is about to run dry.
// Intent: load is measured in seconds of work, so that it can be weighed against a cache hit. d
//   counts twice: once because the request waits for it, once because everyone after it will; so a
//   cache hit is worth more as load grows. For profiles of filters: scores do not count.
//   The scale learns from each first token of a request that was alone or first in line. Not while
//   the endpoint may be refusing to admit because its KV cache is full: that wait says nothing
//   about step times, and the scale would run away.
// Inputs: a PrefixMatches producer, approx-prefix-cache-producer when none is configured; the
//   prompt's length (an estimate is enough; 0 is taken as 1), first tokens and ends: a first token
//   that cannot be seen is assumed as work_ledger.h says, and teaches nothing; kv_capacity_tokens,
//   else the profile's kv_tokens; the profile of --engine-profile. A configuration with
//   several profiles is refused: work is booked where a request both prefills and decodes.
// Parameters: maxNumOfEndpoints (1): how many to choose; those after the first are fallbacks, the
//   cheapest first; prefixMatchInfoProducerName (the only one there is); usePrefixMatches (true):
//   false takes every prompt for new; saturatedWait (what --hold-threshold says: 50ms).
//
//   - type: predicted-cost-picker
//     parameters: {maxNumOfEndpoints: 3}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType predicted_cost_picker_plugin();

}  // namespace kvasir
