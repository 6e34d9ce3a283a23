// header-based-testing-filter: the request says where it goes. For tests of gateways only: whoever
// can reach the gateway chooses the endpoint.
//
// Formula: the endpoints whose IP, or IP:PORT, is in the comma-separated header
//   test-epp-endpoint-selection, in the order of the header, each address once. Without the header,
//   or when it names nobody: none.
// Inputs: that header.
// Parameters: none.
//
//   - type: header-based-testing-filter
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType header_based_testing_filter_plugin();

}  // namespace kvasir
