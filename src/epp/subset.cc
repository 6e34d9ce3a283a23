#include "epp/subset.h"

#include <algorithm>

#include "fleet/fleet.h"
#include "net/socket.h"

namespace kvasir {
namespace {

// "10.0.0.1:8000" without its port; an IPv6 address keeps its brackets.
std::string_view address_part(std::string_view entry) {
  const size_t colon = entry.rfind(':');
  const bool is_port =
      colon != std::string_view::npos && entry.find(']', colon) == std::string_view::npos;
  return is_port ? entry.substr(0, colon) : entry;
}

bool matches(std::string_view entry, const std::string& address, SubsetMatch match) {
  const std::string_view wanted = address_part(entry);
  const std::string_view host = address_part(address);
  if (match == SubsetMatch::kAddress || wanted.size() == entry.size()) return wanted == host;
  return entry == address;
}

}  // namespace

void endpoints_in_subset(const Snapshot& fleet, const std::vector<std::string>& subset,
                         SubsetMatch match, std::vector<EndpointId>& found) {
  found.clear();
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const Endpoint& endpoint = fleet.endpoints[i].endpoint;
    const std::string address = to_string(HostPort{endpoint.host, endpoint.port});
    const bool named = std::any_of(subset.begin(), subset.end(), [&](const std::string& entry) {
      return matches(entry, address, match);
    });
    if (named) found.push_back(EndpointId(i));
  }
}

}  // namespace kvasir
