#include "gateway/relayed_pools.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvasir {

void RelayedPools::add(const ObjectKey& name, std::unique_ptr<PoolRelays> relays) {
  const bool is_new = named_.emplace(name, std::move(relays)).second;
  KVASIR_ASSERT(is_new, "a pool is removed before another one has its name");
}

void RelayedPools::remove(const ObjectKey& name, std::function<void()> gone) {
  const auto found = named_.find(name);
  KVASIR_ASSERT(found != named_.end(), "only a pool that was added is removed");
  PoolRelays* const relays = found->second.get();
  ending_.push_back(std::move(found->second));
  named_.erase(found);
  relays->drain([this, relays, gone = std::move(gone)] {
    ending_.erase(std::find_if(ending_.begin(), ending_.end(),
                               [&](const auto& one) { return one.get() == relays; }));
    gone();
  });
}

PoolRelays* RelayedPools::find(const ObjectKey& name) const {
  const auto found = named_.find(name);
  return found != named_.end() ? found->second.get() : nullptr;
}

void RelayedPools::on_endpoint_down(const Pool& pool, EndpointId endpoint) {
  for (const auto& [name, relays] : named_) {
    if (&relays->pool() == &pool) return relays->on_endpoint_down(endpoint);
  }
  for (const auto& relays : ending_) {
    if (&relays->pool() == &pool) return relays->on_endpoint_down(endpoint);
  }
}

}  // namespace kvasir
