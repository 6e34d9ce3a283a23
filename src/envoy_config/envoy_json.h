// Envoy's messages as JSON, which it reads as it reads protobuf. Private to envoy_config/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace kvasir {

using EnvoyJson = nlohmann::ordered_json;

// {"@type": "type.googleapis.com/NAME"}
EnvoyJson typed(std::string_view name);
EnvoyJson socket_address(const std::string& host, uint16_t port);
// "1.5s"
std::string duration_text(Duration duration);
// A text that Envoy does not read as one with commands: "%" is "%%".
std::string plain_format(std::string_view text);
// The text of a file with these resources, which Envoy reads as the answer of an xDS server.
std::string resources_text(EnvoyJson resources);
// Source of resources: a file, which is read again whenever another one takes its place.
EnvoyJson file_source(const std::string& path);

}  // namespace kvasir
