// sheddable-eviction-filter and priority-then-time-eviction-order-policy (alpha): which requests in
// flight may be ended for the sake of others, and which of them first.
//
// Formula: sheddable-eviction-filter takes priority < 0; priority-then-time-eviction-order-policy
//   the lowest priority first, among equals the one sent last: it has the least to lose.
// Inputs: the priorities of the requests in flight, and when they were sent on.
// Parameters: none.
//
//   - type: sheddable-eviction-filter
//   - type: priority-then-time-eviction-order-policy
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType sheddable_eviction_filter_plugin();
PluginType priority_then_time_eviction_order_policy_plugin();

}  // namespace kvasir
