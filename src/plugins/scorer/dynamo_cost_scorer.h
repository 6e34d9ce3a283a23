// dynamo-cost-scorer (alpha): the rule of NVIDIA Dynamo's KV router, to compare with.
//
// Formula: cost = w * (p + u) / b + k / b: p prompt tokens in flight there without a first answer
//   byte, not cached there; u tokens of this request that are not cached there; k tokens of the
//   prompts in flight there, this request's among them, each block counted once however many of
//   them share it; w overlapScoreWeight, b blockSize. The least cost is 1, the greatest 0, between
//   them in proportion. With max-score-picker alone it is Dynamo's choice at temperature 0.
// Intent: tokens to compute and blocks in use are added up as if they cost the same. Time is not
//   predicted, so a long prompt counts for its tokens and not for its attention.
// Inputs: an InflightLoads and a PrefixMatches producer, each made with its defaults when none is
//   configured; the prompt's length and its blocks of the producer's size. What is decoded is not
//   counted.
// Parameters: overlapScoreWeight (1), blockSize (16).
//
//   - type: dynamo-cost-scorer
//     parameters: {overlapScoreWeight: 2}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType dynamo_cost_scorer_plugin();

}  // namespace kvasir
