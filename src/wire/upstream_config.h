// The shape of llm-d's own EndpointPickerConfig: fields become plain values. What names refer to is
// checked by config_rules.h.
#pragma once

#include "wire/config_reading.h"

namespace kvasir {

inline constexpr std::string_view kApiVersion = "llm-d.ai/v1alpha1";
inline constexpr std::string_view kOldApiVersion = "inference.networking.x-k8s.io/v1alpha1";
inline constexpr std::string_view kConfigKind = "EndpointPickerConfig";

// Strict: what is unknown is an error. Fills reading.config.
void read_upstream_config(const Value& document, ConfigReading& reading);

}  // namespace kvasir
