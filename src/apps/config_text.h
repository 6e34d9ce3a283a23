// A configuration of the endpoint picker in words, for `kvasir config check`.
#pragma once

#include <span>
#include <string>

#include "config/endpoint_picker_config.h"
#include "config/plugin_types.h"

namespace kvasir {

// Several lines, the last without a line end.
std::string config_text(const EndpointPickerConfig& config, std::span<const PluginTypeFacts> types);

}  // namespace kvasir
