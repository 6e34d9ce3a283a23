// The document of a configuration file: the file itself, the one text that a Kubernetes ConfigMap
// carries, or the one that a SchedulerInstall names (config_profiles.h).
#pragma once

#include <string_view>

#include "config/config_reading.h"

namespace kvasir {

// Null when there is nothing in it. Errors and notes go to `reading`. Lines are those of the file;
// those of a text that a ConfigMap does not carry as a literal block ('|') count from that text's
// own start, and a note says so.
Value read_config_document(std::string_view text, ConfigReading& reading);

}  // namespace kvasir
