// All that a program knows of its Kubernetes: one client, one store, and a reflector for each kind
// and namespace that somebody reads. One Cluster serves any number of pools.
//
// Lives on one loop's thread; what it gives out says for itself where it may be used.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "cluster/pool_selection.h"
#include "kube/event_recorder.h"
#include "kube/kube_client.h"
#include "kube/object_store.h"
#include "kube/reflector.h"

namespace kvasir {

class EventLoop;
class Resolver;

struct ClusterOptions {
  KubeConfig kube;
  KubeClientLimits client;
  ObjectStoreLimits store;
  ReflectorOptions reflector;  // its namespace and selectors are filled in for each
  std::string instance;        // of events: the pod's name
  std::string controller = "kvasir.dev/epp";
};

// What is known of one kind in one namespace, for /metrics and /readyz.
struct KubeFreshness {
  std::string kind;
  std::string name_space;
  size_t objects = 0;
  bool synced = false;
  bool absent = false;                // the kind is not installed, or may not be read
  std::optional<TimePoint> heard_at;  // none: never
};

class ClusterProbe : public ReflectorProbe {};

class Cluster {
 public:
  static Result<std::unique_ptr<Cluster>> create(EventLoop& loop, Resolver& resolver,
                                                 ClusterOptions options, ClusterProbe& probe);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Follows all that this pool is made of: the InferencePool, its namespace's pods (by the selector
  // where flags give it), objectives and rewrites; nodes with `node_labels`. Again for the same
  // does nothing.
  void follow_pool(const PoolSelection& selection, bool node_labels);
  // The EndpointSlices of a Service.
  void follow_service(const std::string& name_space, const std::string& service);

  ObjectStore& store();
  KubeApi& api();
  EventRecorder& events();
  // The pods and the InferencePool of the selection are all in the store.
  bool synced(const PoolSelection& selection) const;
  std::vector<KubeFreshness> freshness() const;

 private:
  class State;
  explicit Cluster(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
