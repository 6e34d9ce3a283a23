// load-cost and kv: the endpoint where the request costs the least time, its own and everyone's.
//
// Formula: argmin over the candidates w of wait(w) + 2 d(w) + 0.02 n(w) d(w) seconds; ties in turn.
//
//   wait(w): the work ahead of it there (plugins/cost/work_ledger.h).
//   d(w): the prefill of its tokens not cached there, beside what decodes there, through the step
//   model times a learned scale.
//   n(w): sequences decoding there; each is stalled by this prefill.
//
// Intent: load is measured in seconds of work, not in requests. d counts twice: once because the
// request waits for it, once because everyone after it will; so a cache hit is worth more as load
// grows.
//
// kv knows what each endpoint was sent before (kvindex/approximate_index.h): full blocks that match
// are cached tokens, the rest of the prompt is not. load-cost takes every prompt for new.
//
// The scale learns from each first token of a request that was alone or first in line. Not while
// the endpoint may be refusing to admit because its KV cache is full: that wait says nothing about
// step times, and the scale would run away.
//
// Inputs, and what happens without them:
//
//   Request::prompt_tokens: may be an estimate; 0 is taken as 1. A Decision never claims more
//   cached tokens than it.
//
//   Request::prompt_bytes: says how many tokens a matched block holds; unknown, four bytes are one.
//
//   The prompt's view in blocks of 2 KiB: without it, nothing matches and nothing is remembered.
//
//   kv_capacity_tokens: not reported, the profile's kv_tokens; when that is 0, too,
//   PrefixIndexOptions' default.
//
//   First token: when not visible, released as work_ledger.h says; nothing is learned.
//
// Saturation: the smallest wait over `full_wait`, so that below 1 some endpoint is about to run
// dry.
//
// Source: routing_policy.md §2. Holding is flow/'s (flow/smallest_work_ordering.h): this policy
// answers what it asks.
#pragma once

#include <memory>

#include "scheduling/policy.h"
#include "timing/engine_profile.h"

namespace kvasir {

enum class PrefixKnowledge {
  kNone,         // load-cost
  kApproximate,  // kv
};

// Precondition: `full_wait` is above 0, the profile has a token budget and step times.
std::unique_ptr<Policy> make_predicted_cost_policy(size_t endpoints, const EngineProfile& profile,
                                                   PrefixKnowledge knowledge, Duration full_wait);

}  // namespace kvasir
