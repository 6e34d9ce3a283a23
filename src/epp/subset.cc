#include "epp/subset.h"

#include <string_view>

#include "fleet/fleet.h"

namespace kvasir {

void endpoints_in_subset(const Snapshot& fleet, const std::vector<std::string>& subset,
                         SubsetMode mode, std::vector<EndpointId>& found) {
  found.clear();
  const std::vector<std::string_view> entries(subset.begin(), subset.end());
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const Endpoint& endpoint = fleet.endpoints[i].endpoint;
    if (subset_match(entries, endpoint.host, endpoint.port, mode)) found.push_back(EndpointId(i));
  }
}

}  // namespace kvasir
