// precise-prefix-cache-scorer (deprecated): precise-prefix-cache-producer and prefix-cache-scorer
// in one.
//
// Formula: the share of the prompt's full blocks that the endpoint holds.
// Intent: configurations of older releases.
// Inputs: a precise-prefix-cache-producer when one is configured, else one of its own.
// Parameters: those of precise-prefix-cache-producer, for its own one; with another one they are
//   not read, which is told. indexerConfig.tokenizersPoolConfig is accepted without effect: see
//   token-producer.
//
//   - type: precise-prefix-cache-scorer
//     parameters: {kvEventsConfig: {podDiscoveryConfig: {socketPort: 5557}}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType precise_prefix_cache_scorer_plugin();

}  // namespace kvasir
