// precise-prefix-cache-producer: how much of the prompt each endpoint's KV cache holds, as the
// engines themselves say it.
//
// Formula: the prompt's token ids are cut into blocks as large as the engine's; an endpoint matches
//   the leading ones that its KV events have announced and not taken back, in any tier. For
//   prefix-cache-scorer a token counts by its tier's weight.
// Intent: prefix affinity that knows of evictions, restarts and what other routers sent.
// Inputs: the engines' KV events (--kv-events; without that flag they are read as kvEventsConfig
//   says) and the prompt's token ids (token-producer, --tokenizer). Of an endpoint whose engine
//   announces nothing, or whose events were lost, and of a prompt whose tokens are not known, the
//   match is guessed as approx-prefix-cache-producer does, in blocks of 64 tokens. Upstream
//   matches nothing then.
// Parameters:
//   kvEventsConfig: discoverPods (true: each endpoint is subscribed to), podDiscoveryConfig
//   {socketPort (5557), replaySocketPort (none; lost events cannot be made up for without it)},
//   topicFilter (all topics; upstream "kv@"), zmqEndpoint (engines connect to this address, and no
//   endpoint is subscribed to); engineType (vllm or sglang), concurrency, podLabelSelector and
//   podNamespace without effect: the form is seen by each event, one thread reads all, and the
//   endpoints are the pool's. speculativeIndexing (false) and speculativeTTL (2s): a prompt counts
//   as held where it was sent for so long, until events say so. indexerConfig:
//   kvCacheBackendConfigs [{name, weight}] (gpu 1, cpu 0.8, which stands for every slower tier);
//   kvBlockIndexConfig without effect: one index in memory, --kv-index-memory says how large.
//   tokenProcessorConfig without effect: blocks are as large as the engines', and neither their
//   hashes nor a seed are needed.
//   guessWhenUnknown (true; not upstream's): false matches nothing where nothing is known.
//
//   - type: precise-prefix-cache-producer
//     parameters:
//       kvEventsConfig: {podDiscoveryConfig: {socketPort: 5557, replaySocketPort: 5558}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType precise_prefix_cache_producer_plugin();

}  // namespace kvasir
