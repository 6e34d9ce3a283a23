// approx-prefix-cache-producer: a guess at each endpoint's prefix cache, made from what it was
// sent.
//
// Formula: the prompt's bytes are hashed in chained blocks of blockSizeTokens tokens, four bytes
//   each; an endpoint matches the leading blocks that it was sent before and that its LRU still has
//   (kvindex/approximate_index.h). A request is remembered for every endpoint that its profiles
//   chose, when it is picked.
// Intent: prefix affinity without asking the engines. Where their KV events are heard all the same
//   (--kv-events), what an engine says of its own cache counts in place of the guess.
// Inputs: the prompt's view in blocks of that size; without it, nothing matches. Unlike
//   upstream the last block of a prompt counts only when it is full.
// Parameters: blockSizeTokens (16, but never below 64; its deprecated name blockSize counts when
// only
//   that is given), autoTune (true: the LRU is as large as the
//   KV cache that the endpoint reports), lruCapacityPerServer (31250 blocks: when it reports none
//   or autoTune is off), capacityOfEngineProfile (false; not upstream's: what the endpoint does not
//   report is taken from the profile of --engine-profile), maxPrefixTokensToMatch (131072),
//   maxPrefixBlocksToMatch (deprecated; used when the former is not given).
//
//   - type: approx-prefix-cache-producer
//     parameters: {blockSizeTokens: 64, lruCapacityPerServer: 50000}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType approx_prefix_cache_producer_plugin();

}  // namespace kvasir
