// seed-load-aware-scorer: prefers endpoints with a short queue and an idle GPU.
//
// Formula: wq * (1 - min(q, max) / max) + wg * (1 - gpu).
// Intent: LoadAwareScorer of the first design, which upstream does not have.
// Inputs: the engine's waiting requests (not reported: 0) and its GPU utilisation (not reported:
// 0).
// Parameters: queueLengthWeight wq (0.6), gpuUtilWeight wg (0.4), maxQueueLength (10).
//
//   - type: seed-load-aware-scorer
//     parameters: {queueLengthWeight: 0.6, gpuUtilWeight: 0.4, maxQueueLength: 10}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType seed_load_aware_scorer_plugin();

}  // namespace kvasir
