#include "cluster/service_addresses.h"

#include <set>
#include <utility>

namespace kvasir {

ServiceAddresses::ServiceAddresses(ObjectStore& store, std::string name_space, std::string service,
                                   Changed changed)
    : store_(store),
      name_space_(std::move(name_space)),
      service_(std::move(service)),
      changed_(std::move(changed)),
      addresses_(found()) {
  store_.add_listener(*this);
}

ServiceAddresses::~ServiceAddresses() {
  store_.remove_listener(*this);
}

void ServiceAddresses::on_change(const ObjectChange& change) {
  if (change.kind == KubeKind::kEndpointSlice) stale_ = true;
}

void ServiceAddresses::on_batch_end() {
  if (!std::exchange(stale_, false)) return;
  std::vector<std::string> now = found();
  if (now == addresses_) return;
  addresses_ = std::move(now);
  changed_(addresses_);
}

std::vector<std::string> ServiceAddresses::found() const {
  std::set<std::string> found;
  store_.for_each<EndpointSlice>(name_space_, [&](const EndpointSlice& slice) {
    if (slice.service_name != service_ || slice.address_type == "FQDN") return;
    for (const EndpointSlice::Member& member : slice.members) {
      found.insert(member.addresses.begin(), member.addresses.end());
    }
  });
  return {found.begin(), found.end()};
}

}  // namespace kvasir
