// predicted-cost-pd-decider (alpha): a prompt is prefilled apart when that is predicted to cost
// less time than prefilling it where its answer is decoded. Upstream does not have it.
//
// Formula, d being the endpoint chosen to decode and p every candidate that prefill-filter keeps:
//   here  = wait(d) + (2 + 0.02 n(d)) prefill(d)
//   apart = min over p of wait(p) + (2 + 0.02 n(p)) prefill(p), + handover
//   handover = s (hop + tokens not cached on d x kvBytesPerToken / linkGbPerS)
//   yes when apart < here. No when there is no p.
//   As a scorer, for the prefill profile: 1 for the least, 0 for the greatest of these costs of its
//   candidates, linear between, so that the choice follows the decision.
// Intent: wait, prefill and n are those of predicted-cost-picker: queues and uncached prompts in
//   seconds, a prefill counted twice since others wait for it, and every sequence that decodes
//   beside it stalled. So prompts go apart once their decoder is busy, and cached ones, and all
//   over a slow link stay. Rates are measured where they can be seen: the scale of the step model
//   at first tokens and at the ends of prefill legs, s at the first token after such an end where
//   no prompt waits. Who carries the legs sees those ends (the gateway); else what is predicted
//   counts.
// Inputs: a PrefixMatches producer, approx-prefix-cache-producer when none is configured; the
//   prompt's length, first tokens, ends; the profile of --engine-profile.
// Parameters: linkGbPerS (25): 1e9 bytes a second between the engines, as of 200 Gb Ethernet;
//   kvBytesPerToken (the profile's, else 262144); hop (5ms): what handing over takes beside the
//   bytes; prefixMatchInfoProducerName (the only one there is).
//
//   - type: predicted-cost-pd-decider
//     parameters: {linkGbPerS: 50, hop: 2ms}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType predicted_cost_pd_decider_plugin();

}  // namespace kvasir
