// All that a program knows of its Kubernetes: one client, one store, and a reflector for each kind,
// namespace and selector that somebody reads. One Cluster serves any number of pools.
//
// Lives on one loop's thread; what it gives out says for itself where it may be used.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
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
  ReflectorOptions reflector;   // its namespace and selectors are filled in for each
  EventRecorderOptions events;  // `instance`: the pod's name
};

// What is known of one kind in one namespace, for /metrics and /readyz.
struct KubeFreshness {
  std::string api_version;  // "v1", "llm-d.ai/v1alpha2"
  std::string kind;
  std::string name_space;  // empty: of all
  size_t objects = 0;
  bool synced = false;
  bool absent = false;                // the kind is not installed, or may not be read
  std::optional<TimePoint> heard_at;  // none: never
};

class ClusterProbe : public ReflectorProbe {
 public:
  // A kind that a pool can do without is not installed; told once. Without it on_trouble() would
  // be called.
  virtual void on_kind_absent(const KubeType& type) { static_cast<void>(type); }
  // Events cannot be written, and why; told once until they can.
  virtual void on_events_lost(const std::string& why) { static_cast<void>(why); }
};

class Cluster {
 public:
  // A client of the API server that the options name. `loop`, `resolver` and `probe` must outlive
  // it.
  static Result<std::unique_ptr<Cluster>> create(EventLoop& loop, Resolver& resolver,
                                                 ClusterOptions options, ClusterProbe& probe);
  // The same with a way to the server that is there already; `options.kube` and `client` do not
  // count.
  Cluster(Executor& executor, std::unique_ptr<KubeApi> api, ClusterOptions options,
          ClusterProbe& probe);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Follows all that this pool is made of: the InferencePool, its namespace's pods (by the selector
  // where flags give it), objectives and rewrites of every group; nodes with `node_labels`. Again
  // for the same does nothing, and pools of one namespace share what they can.
  void follow_pool(const PoolSelection& selection, bool node_labels);
  // The same without objectives and rewrites: for who wants to know no more than who is in the
  // pool.
  void follow_endpoints(const PoolSelection& selection, bool node_labels);
  // All objects of this type, of every namespace. `optional`: it is no trouble when the server has
  // no such type.
  void follow_type(const KubeType& type, bool optional);
  // The EndpointSlices of a Service.
  void follow_service(const std::string& name_space, const std::string& service);

  ObjectStore& store();
  KubeApi& api();
  EventRecorder& events();
  // All that the pool is made of is in the store, as far as the server has it and lets us read it.
  // Pods and the InferencePool must be readable. False for a pool that is not followed.
  bool synced(const PoolSelection& selection) const;
  // Everything that is followed is in the store, as far as the server has it: what is optional may
  // be missing.
  bool all_synced() const;
  std::vector<KubeFreshness> freshness() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
