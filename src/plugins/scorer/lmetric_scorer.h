// lmetric-scorer (alpha): the rule of LMetric, to compare with.
//
// Formula: cost = (p + u) * (n + 1): p prompt tokens in flight there without a first answer byte,
//   not cached there; u tokens of this request that are not cached there; n requests in flight
//   there. The least cost is 1, the greatest 0, between them in proportion. With max-score-picker
//   alone it is LMetric's choice.
// Intent: a product needs no weight between the work ahead and the batch that it slows down.
// Inputs: an InflightLoads and a PrefixMatches producer, each made with its defaults when none is
//   configured; the prompt's length.
// Parameters: none.
//
//   - type: lmetric-scorer
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType lmetric_scorer_plugin();

}  // namespace kvasir
