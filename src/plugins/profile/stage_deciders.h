// always-disagg-pd-decider, always-disagg-multimodal-decider and prefix-based-pd-decider: whether a
// stage is worth an endpoint of its own.
//
// Formula of prefix-based-pd-decider: yes when the prompt has nonCachedTokens and promptTokens
//   tokens or more, and of it nonCachedTokens or more are not cached on the endpoint that will
//   decode; nonCachedTokens 0: never, which is told at start.
// Inputs: a PrefixMatches producer (made with its defaults when none is configured) and the
//   endpoint chosen to decode; without one: no. The always-deciders need nothing.
// Parameters of prefix-based-pd-decider: nonCachedTokens (0), promptTokens (0),
//   prefixMatchInfoProducerName (the only one there is).
//
//   - type: prefix-based-pd-decider
//     parameters: {nonCachedTokens: 512}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType always_disagg_pd_decider_plugin();
PluginType always_disagg_multimodal_decider_plugin();
PluginType prefix_based_pd_decider_plugin();

}  // namespace kvasir
