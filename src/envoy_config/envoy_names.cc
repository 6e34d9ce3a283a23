#include "envoy_config/envoy_names.h"

#include <algorithm>

namespace kvasir {

std::string cluster_name(const RouteTarget& target) {
  const std::string object = to_string(target.object);
  if (target.kind == RouteTarget::Kind::kPool) return "inferencepool/" + object;
  return "service/" + object + ":" + std::to_string(target.port);
}

std::string picker_name(const ObjectKey& pool) {
  return "picker/" + to_string(pool);
}

std::string secret_name(const ObjectKey& secret) {
  return "secret/" + to_string(secret);
}

std::string route_config_name(uint16_t port) {
  return "port-" + std::to_string(port);
}

std::string route_config_name(uint16_t port, const ObjectKey& gateway,
                              const std::string& listener) {
  return route_config_name(port) + "/" + to_string(gateway) + "/" + listener;
}

std::string file_of(const std::string& folder, const std::string& name) {
  std::string file = name;
  std::replace_if(
      file.begin(), file.end(), [](char c) { return c == '/' || c == ':'; }, '_');
  return folder + "/" + file + ".json";
}

}  // namespace kvasir
