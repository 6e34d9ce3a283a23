// The parameter that all pickers have.
#pragma once

#include "base/parameters.h"
#include "scheduling/registry.h"

namespace kvasir {

// How many endpoints to choose: the one that is picked, and its fallbacks.
inline size_t read_picker_size(Parameters& parameters, const PluginContext& context) {
  return static_cast<size_t>(parameters.integer("maxNumOfEndpoints", context.endpoints_per_pick(), 1));
}

}  // namespace kvasir
