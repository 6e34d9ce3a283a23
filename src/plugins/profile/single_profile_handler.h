// single-profile-handler and data-parallel-profile-handler (deprecated): run the only profile there
// is.
//
// Formula: that profile's choice.
// Inputs: none. More than one profile is an error of configuration.
// Parameters: none; of data-parallel-profile-handler primaryPort (8000), the port that the gateway
//   in front is told instead of the rank's: the pick is the same.
//
//   - type: single-profile-handler
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType single_profile_handler_plugin();
PluginType data_parallel_profile_handler_plugin();

}  // namespace kvasir
