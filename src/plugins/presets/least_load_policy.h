// least-load: the endpoint with the fewest requests in flight.
//
// Formula: argmin of the requests this process sent there that have not ended; ties in turn.
// Intent: what most load balancers do (least requests), and the baseline for policies that know
// more. Inputs: its own bookings. It does not see the load that others put on an endpoint.
#pragma once

#include <memory>

#include "scheduling/policy.h"

namespace kvasir {

std::unique_ptr<Policy> make_least_load_policy(size_t endpoints);

}  // namespace kvasir
