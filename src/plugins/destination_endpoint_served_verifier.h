// destination-endpoint-served-verifier: for conformance tests of gateways. Tells the client which
// endpoint answered, as the gateway says it.
//
// Formula: the answer's header x-conformance-test-served-endpoint is what the gateway's metadata
//   envoy.lb / x-gateway-destination-endpoint-served says; without it "fail: missing destination
//   endpoint served metadata".
// Inputs: that metadata of the answer.
// Parameters: none.
//
//   - type: destination-endpoint-served-verifier
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType destination_endpoint_served_verifier_plugin();

}  // namespace kvasir
