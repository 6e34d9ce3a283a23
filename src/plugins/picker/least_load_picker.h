// least-load-picker (alpha): the endpoint with the fewest requests in flight. Upstream does not have
// it; it is the policy least-load.
//
// Formula: argmin of the requests that this process sent there and that have not ended; ties in
//   turn.
// Intent: what most load balancers do (least requests), and the baseline for policies that know
//   more. For profiles of filters: scores do not count.
// Inputs: its own bookings. It does not see the load that others put on an endpoint.
// Parameters: none.
//
//   - type: least-load-picker
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType least_load_picker_plugin();

}  // namespace kvasir
