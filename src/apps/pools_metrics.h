// The metrics and log lines of the pools that a gateway has beside its own.
//
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "apps/gateway_metrics.h"
#include "base/guarded.h"
#include "wire/kube/kube_object.h"

namespace kvasir {

class Gateway;

class PoolsMetrics {
 public:
  // `first`: of the gateway's own pool, with whose series they are exposed. It must outlive this.
  explicit PoolsMetrics(GatewayMetrics& first) : first_(first) {}

  // Of the pool of that name; one that comes back goes on with its counts. `policy`: what its
  // requests are labelled with, the first time.
  GatewayMetrics& of(const ObjectKey& pool, const std::string& policy);
  // Before a page: what waits in each pool now. `page` gets what is known of their KV caches.
  void note(const Gateway& gateway, MetricRegistry& page) const;

 private:
  GatewayMetrics& first_;
  Guarded<std::map<ObjectKey, std::unique_ptr<GatewayMetrics>>> pools_;
};

}  // namespace kvasir
