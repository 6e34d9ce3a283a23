// The shape of llm-d's own EndpointPickerConfig: fields become plain values. What names refer to is
// checked by config_rules.h.
#pragma once

#include "config/config_reading.h"

namespace kvasir {

// The newest, and what a file without apiVersion is read as. The layouts of v1alpha1 and v1 differ in
// a few places; both are read under every name, what v1 moved with a warning.
inline constexpr std::string_view kApiVersion = "llm-d.ai/v1";
inline constexpr std::string_view kAlphaApiVersion = "llm-d.ai/v1alpha1";
inline constexpr std::string_view kOldApiVersion = "inference.networking.x-k8s.io/v1alpha1";
inline constexpr std::string_view kConfigKind = "EndpointPickerConfig";

// Strict: what is unknown is an error. Fills reading.config.
void read_upstream_config(const Value& document, ConfigReading& reading);

}  // namespace kvasir
