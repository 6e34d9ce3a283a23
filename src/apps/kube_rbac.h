// What our programs ask of the API server, and the RBAC objects that allow exactly that.
#pragma once

#include <string>
#include <vector>

namespace kvasir {

struct KubeType;

// Verbs on one resource. Never "*".
struct KubePermission {
  std::string name_space;  // empty: of the cluster
  std::string group;       // empty: the core group
  std::string resource;
  std::vector<std::string> verbs;
  std::vector<std::string> names = {};  // of the objects; none: all
};

struct RbacOptions {
  std::string account = "kvasir-epp";  // name of the ServiceAccount and of all that is bound to it
  std::string account_namespace;       // where the program runs; empty: the pool's namespace
  std::string pool_name;               // names the lease; empty: any lease of the namespace
  std::string pool_namespace = "default";
  std::string pool_group = "inference.networking.k8s.io";
  bool selector = false;         // pods by --endpoint-selector: no InferencePool is read
  bool leader_election = false;  // --ha-enable-leader-election
  std::string peers_service;     // --peers-service
  bool node_labels = false;      // a topology plugin reads labels of nodes
  bool metrics_auth = false;     // --metrics-endpoint-auth
  bool endpoints_only = false;   // kvasir sidecar: no objectives, rewrites and Events
  bool routes = false;  // --routes-from-cluster: the Gateway API and all pools, in every namespace
};

std::vector<KubePermission> needed_permissions(const RbacOptions& options);

// A ServiceAccount, Roles and bindings as YAML; a ClusterRole only where something of the cluster
// is read. Ends with a line feed.
std::string rbac_manifest(const RbacOptions& options);

// What --routes-from-cluster reads, in every namespace: whether it can do without it, too.
struct FollowedKind {
  const KubeType* type;
  bool optional;
};
std::vector<FollowedKind> route_kinds();

// The lease of the replicas that write conditions.
inline constexpr const char* kRoutesLease = "kvasir-gateway-routes";

// The lease of a pool's replicas, as upstream's picker names it.
std::string lease_name(const std::string& name_space, const std::string& pool);

}  // namespace kvasir
