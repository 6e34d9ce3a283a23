// The configurations that the tutorial's operator makes of a SchedulerInstall (sim.llm-d.io):
// spec.epp.configProfile names one of them. Source: the operator's controller.
#pragma once

#include <string_view>

#include "base/value.h"
#include "config/config_reading.h"

namespace kvasir {

bool is_scheduler_install(const Value& document);

// The text of an EndpointPickerConfig; empty: there is no profile of that name, and an error says
// so. Nothing else of the object is read, which a note says.
std::string_view config_profile_of(const Value& scheduler_install, ConfigReading& reading);

}  // namespace kvasir
