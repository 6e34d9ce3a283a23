// What `kvasir gateway` has of Gateway API objects: files that are watched or an API server, what
// they come to, the pools that they name, and what is told of all that in the log.
//
// Made before the gateway and destroyed after it. Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/route_cluster.h"
#include "apps/route_pools.h"
#include "base/lifeline.h"
#include "base/result.h"
#include "gateway/gateway_options.h"
#include "kube/manifest_watch.h"
#include "kube/object_store.h"
#include "routes/route_feed.h"

namespace CLI {
class App;
}

namespace kvasir {

class EventLoop;
class Gateway;
class PoolsMetrics;

struct RouteFlags {
  std::vector<std::string> paths;
  bool from_cluster = false;  // instead of paths
  std::string controller_name = StatusOptions().controller_name;
  std::vector<std::string> addresses;  // of Gateways, for their status
  std::vector<std::string> pool_configs;
  uint16_t listener_port = 0;      // 0: that of the only HTTP listener
  std::string name_space = "default";

  // Whether requests are routed by objects.
  bool any() const { return from_cluster || !paths.empty(); }
};

void add_route_flags(CLI::App& command, RouteFlags& flags);

class RouteSession {
 public:
  // Sets `options` as the objects say. An Error has every problem of the files, or says why nothing
  // could be served. `loop` must outlive it.
  // Null: the flags ask for no routes. `kubeconfig`: empty when find_kube_config() is to look.
  static Result<std::unique_ptr<RouteSession>> open(EventLoop& loop, const RouteFlags& flags,
                                                    const std::string& kubeconfig,
                                                    GatewayOptions& options);
  RouteSession(const RouteSession&) = delete;
  RouteSession& operator=(const RouteSession&) = delete;

  // From now on `gateway` has these routes and the pools that they name, and each change. Errors
  // say which of the pools cannot be. Both must outlive all changes of the files.
  Result<void> serve(Gateway& gateway, PoolsMetrics& metrics);
  // For people: "2 HTTPRoutes of port 80".
  std::string text() const;
  std::string page() const { return cluster_ != nullptr ? cluster_->page() : ""; }

 private:
  Result<void> watch_files(const RouteFlags& flags);
  Result<void> follow_cluster(const RouteFlags& flags, const std::string& kubeconfig);
  Result<void> choose_port(const RouteFlags& flags, GatewayOptions& options);
  ObjectStore& store() { return cluster_ != nullptr ? cluster_->store() : own_store_; }
  // Everything is known that there is.
  bool synced() const { return cluster_ == nullptr || cluster_->synced(); }
  void on_synced();
  RouteSession(EventLoop& loop, PoolConfigFiles pool_configs);
  void on_changed(const EffectiveRoutes& routes);
  void use_routes();
  void tell_conditions(const EffectiveRoutes& routes);

  EventLoop& loop_;
  const PoolConfigFiles pool_configs_;
  uint16_t port_ = 0;
  ObjectStore own_store_;
  std::unique_ptr<ManifestWatch> watch_;   // null: objects come from cluster_
  std::unique_ptr<RouteCluster> cluster_;  // null: they come from files
  std::unique_ptr<RouteFeed> feed_;
  Gateway* gateway_ = nullptr;  // null: serve() was not called yet
  std::unique_ptr<RoutePools> pools_;  // the same
  bool changes_ = false;               // use_routes() is about to run
  std::set<std::string> told_;  // what does not hold
  size_t told_in_use_ = 0;      // HTTPRoutes
  Lifeline lifeline_;
};

}  // namespace kvasir
