// Reads a configuration file of the endpoint picker, in llm-d's own shape or in the seed's
// (seed_config.h), as YAML or JSON, alone or inside a Kubernetes ConfigMap.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config_reading.h"
#include "config/plugin_types.h"

namespace kvasir {

// Everything there is to say about the file. An empty text gives the default configuration.
// `types`: of the program that is to run it.
ConfigReading read_endpoint_picker_config(std::string_view text,
                                          std::span<const PluginTypeFacts> types);

}  // namespace kvasir
