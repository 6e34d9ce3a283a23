// What people see in Envoy's configuration, statistics and logs, and the files' names. Private to
// envoy_config/.
//
// Names of objects hold letters, digits, "-" and "."; with other characters between them no two are
// alike.
#pragma once

#include <string>

#include "routes/route_rule.h"

namespace kvasir {

// A cluster that is nowhere: requests for it are refused with 500.
inline constexpr const char* kNoBackend = "no-backend";

// "service/ns/web:80", "inferencepool/ns/llm".
std::string cluster_name(const RouteTarget& target);
// "picker/ns/llm": who picks for that InferencePool.
std::string picker_name(const ObjectKey& pool);
// "secret/ns/cert".
std::string secret_name(const ObjectKey& secret);
// "port-80", "port-443/ns/gw/listener".
std::string route_config_name(uint16_t port);
std::string route_config_name(uint16_t port, const ObjectKey& gateway, const std::string& listener);

// "FOLDER/service_ns_web_80.json" of "service/ns/web:80".
std::string file_of(const std::string& folder, const std::string& name);

}  // namespace kvasir
