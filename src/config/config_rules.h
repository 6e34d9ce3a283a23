// The rules of an EndpointPickerConfig that go beyond its fields: names are unique, references lead
// somewhere and to the right kind of plugin, and what the file leaves out is filled in.
#pragma once

#include <span>

#include "config/config_reading.h"
#include "config/plugin_types.h"

namespace kvasir {

// What runs when there is no configuration at all.
EndpointPickerConfig default_endpoint_picker_config();

// Fills in defaults: the profile `default`, pickers, the profile handler, the metrics of the data
// layer, and the plugins that flow control uses unasked. Each gets a note.
void complete_config(ConfigReading& reading, std::span<const PluginTypeFacts> types);

// Adds an error for each rule that is broken.
void check_config(ConfigReading& reading, std::span<const PluginTypeFacts> types);

}  // namespace kvasir
