// An API server as the source of routes: follows all that they are made of, in every namespace, and
// writes what becomes of them into the conditions of the objects.
//
// Lives on the loop's thread, but for page().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/kube_reports.h"
#include "base/lifeline.h"
#include "base/random.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "kube/kube_time.h"
#include "kube/leader_election.h"
#include "net/io/system_resolver.h"
#include "routes/status_writer.h"

namespace kvasir {

struct RouteClusterOptions {
  std::string kubeconfig;  // empty: find_kube_config() looks
  StatusOptions status;    // whose Gateways are ours, and what is said of them
  Duration look_interval = std::chrono::milliseconds(100);  // until all there is is known
};

class RouteCluster final : private LeaderProbe {
 public:
  // The Error says why there is no way to the API server. `loop` must outlive it. `synced`: called
  // once, when all there is is in the store.
  static Result<std::unique_ptr<RouteCluster>> open(EventLoop& loop, RouteClusterOptions options,
                                                    std::function<void()> synced);
  ~RouteCluster() override;
  RouteCluster(const RouteCluster&) = delete;
  RouteCluster& operator=(const RouteCluster&) = delete;

  ObjectStore& store() { return cluster_->store(); }
  bool synced() const { return synced_; }
  // Whether its GatewayClass names our controller.
  bool is_ours(const KubeGateway& gateway) const;
  // What the objects' conditions say from now on, when this replica leads. `routes`: of the store
  // as it is now.
  void say(const EffectiveRoutes& routes);

  // For people: "the cluster of in-cluster".
  const std::string& text() const { return text_; }
  std::string page() const { return reports_.page(); }

 private:
  RouteCluster(EventLoop& loop, RouteClusterOptions options, std::function<void()> synced,
               std::string own_namespace);
  Result<void> reach(KubeConfig config);
  void elect();
  void look();
  void tell_trouble(const KubeType& type, const ObjectKey& key, const KubeStatus& status,
                    const std::string& why);
  void on_leading(bool leads) override;
  void on_election_trouble(const std::string& why) override { reports_.on_election_trouble(why); }

  EventLoop& loop_;
  const RouteClusterOptions options_;
  const std::function<void()> told_synced_;
  const std::string own_namespace_;
  const std::string identity_;  // of this process
  std::string text_;
  RbacOptions rbac_;
  KubeReports reports_;
  const WallClock wall_clock_;
  Random random_;
  SystemResolver resolver_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<StatusWriter> writer_;
  std::unique_ptr<LeaderElection> election_;
  bool synced_ = false;
  TimerId look_timer_ = kNoTimer;
};

}  // namespace kvasir
