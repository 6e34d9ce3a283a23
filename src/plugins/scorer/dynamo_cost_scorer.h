// dynamo-cost-scorer (alpha): the rule of NVIDIA Dynamo's KV router, to compare with.
//
// Formula: cost = w * (p + u) / b + k: p prompt tokens in flight there without a first answer byte,
//   not cached there; u tokens of this request that are not cached there; k blocks of b tokens that
//   the prompts of all requests in flight there take; w overlapScoreWeight, b blockSize. The least
//   cost is 1, the greatest 0, between them in proportion. With max-score-picker alone it is
//   Dynamo's choice at temperature 0.
// Intent: tokens to compute and blocks in use are added up as if they cost the same. Time is not
//   predicted, so a long prompt counts for its tokens and not for its attention.
// Inputs: an InflightLoads and a PrefixMatches producer, each made with its defaults when none is
//   configured; the prompt's length. What is decoded is not counted, nor what prompts share.
// Parameters: overlapScoreWeight (1), blockSize (16).
//
//   - type: dynamo-cost-scorer
//     parameters: {overlapScoreWeight: 2}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType dynamo_cost_scorer_plugin();

}  // namespace kvasir
