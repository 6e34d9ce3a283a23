// The flowControl section of an EndpointPickerConfig.
#pragma once

#include "config/config_reading.h"

namespace kvasir {

FlowControlConfig read_flow_control(const Value& section, std::vector<Remark>& errors);

}  // namespace kvasir
