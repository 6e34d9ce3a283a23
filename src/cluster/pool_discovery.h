// The endpoints of one pool, from the object store: each Ready pod that is not being deleted and
// that the selector takes, times each target port.
//
// An endpoint is named NAMESPACE/POD-rank-INDEX, its port's place in targetPorts (upstream's
// names). The pod's annotation llm-d.ai/active-ports (or inference.networking.k8s.io/active-ports)
// limits the ports. Labels are the pod's; the labels of its node come with them where a topology
// plugin reads them. Without the InferencePool, or with a store that is not filled yet, there is no
// list, and the endpoints of before stay.
//
// Lives on the store's thread. Tells its listener at most once in `batch_interval`, and no later
// than that after a change.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/executor.h"
#include "cluster/pool_selection.h"
#include "feeds/discovery.h"
#include "kube/object_store.h"

namespace kvasir {

struct PoolDiscoveryOptions {
  PoolSelection selection;
  Duration batch_interval = std::chrono::milliseconds(20);
  bool node_labels = false;  // copy the topology labels of a pod's node to its endpoints
};

// Both must outlive it. `ready`: whether the store holds all there is (pods, and the pool);
// settled() and the first list wait for it.
std::unique_ptr<Discovery> discover_pool(Executor& executor, ObjectStore& store,
                                         PoolDiscoveryOptions options, std::function<bool()> ready,
                                         DiscoveryListener& listener);

}  // namespace kvasir
