// exact-prefix-cache-producer: a producer that knows what each engine's prefix cache holds, as
// exact KV events would tell it at once. Only in simulations: it looks into the engines.
#pragma once

#include <functional>
#include <span>

#include "model/block_hash.h"
#include "scheduling/registry.h"

namespace kvasir {

// How many leading blocks of the request's prompt that endpoint has cached, in blocks of the
// engine's size.
using CachedBlocks = std::function<size_t(RequestId request, EndpointId endpoint)>;

// `block_tokens`: of the engines. `cached_blocks` outlives the plugins.
PluginType exact_prefix_cache_plugin(uint32_t block_tokens, CachedBlocks cached_blocks);

}  // namespace kvasir
