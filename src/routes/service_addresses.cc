#include "routes/service_addresses.h"

#include <algorithm>

#include "wire/kube/kube_objects.h"

namespace kvasir {
namespace {

void add_once(std::vector<HostPort>& members, HostPort member) {
  const bool known = std::any_of(members.begin(), members.end(), [&](const HostPort& other) {
    return other.host == member.host && other.port == member.port;
  });
  if (!known) members.push_back(std::move(member));
}

std::vector<HostPort> itself(const Service& service, uint16_t port) {
  if (service.service_type == "ExternalName") return {{service.external_name, port}};
  const bool has_address = !service.cluster_ip.empty() && service.cluster_ip != "None";
  if (has_address) return {{service.cluster_ip, port}};
  return {{service.meta.name + "." + service.meta.name_space + ".svc", port}};
}

}  // namespace

std::vector<HostPort> service_members(const ObjectStore& store, const ObjectKey& key,
                                      uint16_t port) {
  const auto service = store.get<Service>(key.name_space, key.name);
  if (service == nullptr) return {};
  const auto found = std::find_if(service->ports.begin(), service->ports.end(),
                                  [&](const ServicePort& one) { return one.port == port; });
  if (found == service->ports.end()) return {};
  std::vector<HostPort> ready;
  std::vector<HostPort> terminating;
  bool any_slice = false;
  store.for_each<EndpointSlice>(key.name_space, [&](const EndpointSlice& slice) {
    if (slice.service_name != key.name) return;
    any_slice = true;
    // Both are named alike, and have no name where there is one port.
    const auto own = std::find_if(slice.ports.begin(), slice.ports.end(),
                                  [&](const auto& one) { return one.name == found->name; });
    if (own == slice.ports.end()) return;
    for (const EndpointSlice::Member& member : slice.members) {
      // The API: of one endpoint all addresses are the same backend, and one is enough.
      if (member.addresses.empty()) continue;
      if (member.ready && !member.terminating) {
        add_once(ready, {member.addresses[0], own->port});
      } else if (member.serving && member.terminating) {
        add_once(terminating, {member.addresses[0], own->port});
      }
    }
  });
  if (!any_slice) return itself(*service, port);
  return ready.empty() ? terminating : ready;
}

}  // namespace kvasir
