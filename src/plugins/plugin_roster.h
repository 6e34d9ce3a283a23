// The list of the plugin types that an EndpointPickerConfig can name.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "scheduling/registry.h"

namespace kvasir {

void register_plugins(Registry& registry);

// The built-in plugin types and those of shared objects (scheduling/plugin_library.h).
Result<Registry> plugin_registry(const std::vector<std::string>& plugin_files);

}  // namespace kvasir
