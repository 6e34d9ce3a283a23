// seed-kv-cache-manager-scorer: prefers endpoints of which a KV-cache manager says that they hold
// the prompt.
//
// Formula: the hit rate that the manager answers, 0 when it is below cacheThreshold.
// Intent: the KVCacheManagerScorer of the first design, for a manager that runs as a service of its
//   own.
// Inputs: POST ENDPOINT/api/v1/score, asked before scheduling for `timeout` at most. No answer in
//   time, or none for an endpoint: it abstains there.
// Parameters: endpoint (http://HOST:PORT, required), timeout (50ms), cacheThreshold (0.5, from 0 to
//   1).
//
//   - type: seed-kv-cache-manager-scorer
//     parameters: {endpoint: "http://kv-cache-manager:8080", timeout: 50ms}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType seed_kv_cache_manager_scorer_plugin();

}  // namespace kvasir
