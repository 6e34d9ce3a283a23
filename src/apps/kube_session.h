// What a program has of Kubernetes when its endpoints are pods: the store of objects and who fills
// it (an API server or files), the pool's endpoints, objectives and rewrites, the other replicas,
// the lease, and what is told of all that.
//
// Made before the pool and destroyed after it. Lives on the loop's thread, but for leads() and
// page(), which any thread may call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/kube_flags.h"
#include "apps/kube_reports.h"
#include "apps/metrics_access.h"
#include "base/lifeline.h"
#include "base/random.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "cluster/pool_objects.h"
#include "cluster/service_addresses.h"
#include "feeds/fleet_feeds.h"
#include "kube/kube_time.h"
#include "kube/leader_election.h"
#include "kube/manifest_watch.h"
#include "net/io/system_resolver.h"
#include "serving/pool.h"

namespace kvasir {

// How long a program goes on taking requests after SIGTERM: what it takes until proxies know that
// its pod is no longer ready.
inline constexpr Duration kKubeDrainDelay = std::chrono::seconds(5);

struct KubeSessionOptions {
  std::string program = "epp";  // Events come from kvasir.dev/PROGRAM
  bool node_labels = false;     // endpoints have the topology labels of their nodes
  // Reads pods and the InferencePool and nothing else, and writes no Events. serve() is not called.
  bool endpoints_only = false;
  // How long a pool must be missing, or without endpoints, before it is told: both are usual while
  // something is rolled out.
  Duration trouble_after = std::chrono::seconds(10);
  Duration look_interval = std::chrono::milliseconds(200);  // at the pool, and for metrics
  Duration release_patience = std::chrono::seconds(3);
  // Before and after the Event of a program that does not start: for the pool to be read, and for
  // the Event to be written.
  Duration last_words = std::chrono::milliseconds(500);
};

class KubeSession {
 public:
  // The Error says why there is no way to the API server, or what is wrong with the manifests.
  // `loop` must outlive it.
  static Result<std::unique_ptr<KubeSession>> open(EventLoop& loop, KubeChoice choice,
                                                   KubeSessionOptions options);
  ~KubeSession();
  KubeSession(const KubeSession&) = delete;
  KubeSession& operator=(const KubeSession&) = delete;

  // Before the pool is made: its endpoints come from here.
  void feed(FleetFeedsOptions& feeds);
  // Once the pool is there: its priorities and rewrites, and what is told of it.
  void serve(Pool& pool);
  // The addresses of the replicas behind --peers-service, now and whenever they change.
  void follow_peers(std::function<void(const std::vector<std::string>& addresses)> told);
  void on_configuration_refused(std::string_view error) {
    reports_.on_configuration_refused(error);
  }
  // The program does not start with its configuration, and is about to end: runs the loop for the
  // short time that an Event takes.
  void tell_start_refused(std::string_view error);

  // Whether this replica is to serve: always, unless it takes a lease.
  bool leads() const { return !choice_.leader_election || reports_.leads(); }
  bool elects() const { return choice_.leader_election; }
  // Lets the lease go. `done` is called in a later turn, when that was tried or took too long.
  void release(std::function<void()> done);

  // Who may read /metrics; null: everybody.
  MetricsAccess* access() { return access_.get(); }

  // The name of the pool, or of the Deployment when there are only selected pods.
  const std::string& pool_name() const { return pool_name_; }
  // For people: "InferencePool default/vllm by in-cluster".
  std::string text() const;
  std::string page() const { return reports_.page(); }

 private:
  enum class PoolState : uint8_t { kUnknown, kMissing, kEmpty, kServing };

  KubeSession(EventLoop& loop, KubeChoice choice, KubeSessionOptions options,
              std::string own_namespace, std::string source);
  Result<void> read_manifests();
  Result<void> reach(KubeConfig config);
  void elect();
  void find_own_pod();
  ObjectStore& store() { return cluster_ != nullptr ? cluster_->store() : own_store_; }
  bool synced() const { return cluster_ == nullptr || cluster_->synced(choice_.selection); }
  void look();
  void tell_pool_state();
  PoolState pool_state();
  std::optional<ObjectReference> about();

  EventLoop& loop_;
  const KubeChoice choice_;
  const KubeSessionOptions options_;
  const std::string own_namespace_;
  const std::string source_;
  const std::string pod_name_;
  const std::string pool_name_;
  KubeReports reports_;
  const WallClock wall_clock_;
  Random random_;
  SystemResolver resolver_;
  std::unique_ptr<Cluster> cluster_;  // null: objects come from files
  ObjectStore own_store_;             // then
  std::unique_ptr<ManifestWatch> manifests_;
  std::unique_ptr<LeaderElection> election_;
  std::unique_ptr<MetricsAccess> access_;
  std::unique_ptr<KubeCall> own_pod_call_;
  std::string own_pod_uid_;  // empty: not known
  std::unique_ptr<PoolObjects> objects_;
  std::unique_ptr<ServiceAddresses> peers_;
  Pool* pool_ = nullptr;
  PoolState state_ = PoolState::kUnknown;
  PoolState told_state_ = PoolState::kUnknown;
  TimePoint state_since_{};
  TimerId look_timer_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
