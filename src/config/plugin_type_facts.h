// What the reader of configurations must know of the plugin types of this very program.
#pragma once

#include <vector>

#include "scheduling/registry.h"
#include "config/plugin_types.h"

namespace kvasir {

// The registry's types, and those that upstream has and the registry does not (the data layer's,
// flow control's, parsers). The registry must outlive them and stay as it is.
std::vector<PluginTypeFacts> plugin_type_facts(const Registry& registry);

}  // namespace kvasir
