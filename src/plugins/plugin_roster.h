// The list of the plugin types that an EndpointPickerConfig can name.
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

void register_plugins(Registry& registry);

}  // namespace kvasir
