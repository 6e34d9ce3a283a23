// What dataLayer.discovery of a configuration says: the file of endpoints that file-discovery reads.
#pragma once

#include <string>
#include <string_view>

#include "base/checked.h"
#include "config/endpoint_picker_config.h"

namespace kvasir {

struct DiscoveryFile {
  std::string path = {};  // empty: the configuration names no discovery
  bool watch = false;     // read it again when it changes
  int line = 0;
};

// Also checks the parameters of a file-discovery that nothing refers to. The file itself is not
// opened.
Checked<DiscoveryFile> discovery_file(const EndpointPickerConfig& config);

// Whether discovery_file() reads plugins of this type.
bool is_discovery_plugin(std::string_view type);

}  // namespace kvasir
