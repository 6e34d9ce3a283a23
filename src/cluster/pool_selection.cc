#include "cluster/pool_selection.h"

#include <algorithm>
#include <charconv>

namespace kvasir {

bool PoolSelection::is_meant_by(const PoolRef& pool, const std::string& name_space) const {
  return by_pool() && name_space == pool_namespace && pool.name == pool_name &&
         (pool.group.empty() || pool.group == pool_group);
}

std::string PoolSelection::to_string() const {
  if (by_pool()) return "InferencePool " + pool_namespace + "/" + pool_name;
  return "pods " + selector.to_string() + " in " + pool_namespace;
}

Result<std::vector<uint16_t>> parse_target_ports(std::string_view text) {
  std::vector<uint16_t> ports;
  for (std::string_view rest = text;;) {
    const size_t end = std::min(rest.find(','), rest.size());
    uint16_t port = 0;
    const auto read = std::from_chars(rest.data(), rest.data() + end, port);
    if (read.ec != std::errc() || read.ptr != rest.data() + end || port == 0) {
      return Error{"'" + std::string(rest.substr(0, end)) + "' is not a port: 1 to 65535"};
    }
    if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  if (ports.size() > kTargetPortsMost) {
    return Error{"there are " + std::to_string(ports.size()) + " ports; " +
                 std::to_string(kTargetPortsMost) + " is the most"};
  }
  return ports;
}

}  // namespace kvasir
