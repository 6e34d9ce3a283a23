// session-affinity-scorer and session-affinity-filter (alpha): keep a session on its endpoint.
//
// Formula: the scorer gives the bound endpoint 1 and the others 0; the filter keeps the bound
//   endpoint alone when it is a candidate, else everyone. No session, or one that is bound to
//   nobody: the scorer abstains, everyone stays. strategy session_id: a session is bound to the
//   endpoint its last request went to, until evictionTtlSeconds pass without one.
//   encoded_endpoint_header: the header holds base64 of the endpoint's name, or of NAMESPACE/NAME;
//   whoever writes the answer sends it.
//   Replicas of a picker (--peers) tell each other the sessions of plugins of the same name.
// Inputs: the headers. Sessions are remembered by a 64-bit hash, 1,000,000 at most: more are not
// bound.
// Parameters: strategy (encoded_endpoint_header or session_id); encodedEndpointHeaderConfig: header
//   (x-session-token); sessionIdConfig: sources (a list, the first that is there counts: {header},
//   or {attribute: SessionIDDataKey, producer}, the session of a session-id-producer; the header
//   x-session-id), evictionTtlSeconds (300), evictionSweepSeconds, which is without effect: a binding
//   ends to the moment. The same keys may stand beside strategy, as in llm-d's older versions.
//   profileName: the profile whose choice is kept instead of the primary one's.
//
//   - type: session-affinity-scorer
//     parameters:
//       strategy: session_id
//       sessionIdConfig: {sources: [{header: x-user}], evictionTtlSeconds: 600}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType session_affinity_scorer_plugin();
PluginType session_affinity_filter_plugin();

}  // namespace kvasir
