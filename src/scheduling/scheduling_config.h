// The configuration of scheduling that holds when there is none.
#pragma once

#include "model/scheduling_config.h"

namespace kvasir {

// What runs when nothing is configured: queue-scorer 2, kv-cache-utilization-scorer 2,
// prefix-cache-scorer 3, single-profile-handler, max-score-picker.
SchedulingConfig default_scheduling_config();

}  // namespace kvasir
