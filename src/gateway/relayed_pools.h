// The pools beside the gateway's own whose requests one thread carries, by the names that routes
// have for them. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "gateway/pool_relays.h"
#include "wire/kube/kube_object.h"

namespace kvasir {

class RelayedPools {
 public:
  // The name must be free. What it relays with must outlive it, until remove() calls back.
  void add(const ObjectKey& name, std::unique_ptr<PoolRelays> relays);
  // No more requests go there; what runs ends as it would. Then calls `gone`, and nothing here uses
  // the pool any more.
  void remove(const ObjectKey& name, std::function<void()> gone);

  // Null: there is none of that name.
  PoolRelays* find(const ObjectKey& name) const;
  void on_endpoint_down(const Pool& pool, EndpointId endpoint);

  // Those that have a name, in its order.
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [name, relays] : named_) f(*relays);
  }

 private:
  std::map<ObjectKey, std::unique_ptr<PoolRelays>> named_;
  std::vector<std::unique_ptr<PoolRelays>>
      ending_;  // without a name, until their requests are over
};

}  // namespace kvasir
