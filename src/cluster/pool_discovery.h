// The endpoints of one pool, from the object store: each Ready pod that is not being deleted and
// that the selector takes, times each target port.
//
// An endpoint is named NAMESPACE/POD-rank-INDEX, its port's place in targetPorts (upstream's
// names). The pod's annotation llm-d.ai/active-ports (or inference.networking.k8s.io/active-ports)
// limits the ports: "8000,8002"; what is no target port counts as not said. Labels are the pod's;
// labels of its node come with them where they are asked for, and the pod's own value counts.
// Without the InferencePool, or with a store that is not filled yet, there is no list, and the
// endpoints of before stay.
//
// Gives one full list, then only what changed; a pod that changes without changing an endpoint
// costs a comparison and is told to nobody.
//
// Lives on the store's thread. Tells its listener at once, but at most once in `batch_interval`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "cluster/pool_selection.h"
#include "feeds/discovery.h"
#include "kube/object_store.h"

namespace kvasir {

// What topology plugins read by default (plugins/scorer/topology_affinity.h).
std::vector<std::string> topology_labels();

struct PoolDiscoveryOptions {
  PoolSelection selection;
  Duration batch_interval = std::chrono::milliseconds(20);
  // How often `ready` is asked until it says yes, beside at every change.
  Duration ready_interval = std::chrono::milliseconds(50);
  // Labels of a pod's node that its endpoints get.
  std::vector<std::string> node_labels = {};
};

// Both must outlive it. `ready`: whether the store holds all there is (pods, and the pool);
// settled() and the first list wait for it.
std::unique_ptr<Discovery> discover_pool(Executor& executor, ObjectStore& store,
                                         PoolDiscoveryOptions options, std::function<bool()> ready,
                                         DiscoveryListener& listener);

}  // namespace kvasir
