// The parameter that all pickers have.
#pragma once

#include "base/parameters.h"

namespace kvasir {

// How many endpoints to choose: the one that is picked, and its fallbacks.
inline size_t read_picker_size(Parameters& parameters) {
  return static_cast<size_t>(parameters.integer("maxNumOfEndpoints", 1, 1));
}

}  // namespace kvasir
