#include "apps/kube_rbac.h"

#include <set>
#include <utility>

#include "wire/kube/kube_gateway_objects.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

const std::vector<std::string> kFollow = {"list", "watch"};

std::string account_namespace(const RbacOptions& options) {
  return options.account_namespace.empty() ? options.pool_namespace : options.account_namespace;
}

std::vector<std::string> only(const std::string& name) {
  return name.empty() ? std::vector<std::string>{} : std::vector<std::string>{name};
}

// A YAML scalar that is text whatever it holds.
std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string list = "[";
  for (const std::string& text : texts) list += (list.size() > 1 ? ", " : "") + quoted(text);
  return list + "]";
}

std::string head(const std::string& api_version, const std::string& kind, const std::string& name,
                 const std::string& name_space) {
  std::string text = "apiVersion: " + api_version + "\nkind: " + kind +
                     "\nmetadata:\n  name: " + quoted(name) + "\n";
  if (!name_space.empty()) text += "  namespace: " + quoted(name_space) + "\n";
  return text;
}

std::string rules_of(const std::vector<KubePermission>& permissions,
                     const std::string& name_space) {
  std::string text = "rules:\n";
  for (const KubePermission& one : permissions) {
    if (one.name_space != name_space) continue;
    text += "- apiGroups: " + list_of({one.group}) + "\n  resources: " + list_of({one.resource}) +
            "\n  verbs: " + list_of(one.verbs) + "\n";
    if (!one.names.empty()) text += "  resourceNames: " + list_of(one.names) + "\n";
  }
  return text;
}

constexpr const char* kRbac = "rbac.authorization.k8s.io";

// A role of this namespace, or of the cluster, and its binding to the account.
std::string role(const RbacOptions& options, const std::vector<KubePermission>& permissions,
                 const std::string& name_space) {
  const std::string version = std::string(kRbac) + "/v1";
  const std::string of = name_space.empty() ? "Cluster" : "";
  // Names of the cluster are shared by all namespaces.
  const std::string name =
      name_space.empty() ? account_namespace(options) + "-" + options.account : options.account;
  std::string text =
      "---\n" + head(version, of + "Role", name, name_space) + rules_of(permissions, name_space);
  text += "---\n" + head(version, of + "RoleBinding", name, name_space);
  text += std::string("roleRef:\n  apiGroup: ") + kRbac + "\n  kind: " + of +
          "Role\n  name: " + quoted(name) + "\n";
  return text + "subjects:\n- kind: ServiceAccount\n  name: " + quoted(options.account) +
         "\n  namespace: " + quoted(account_namespace(options)) + "\n";
}

// In every namespace, for there may be routes and pools. Conditions are written into what is read
// anew.
std::vector<KubePermission> route_permissions(const std::string& own) {
  std::vector<KubePermission> needed;
  for (const FollowedKind& kind : route_kinds()) {
    needed.push_back({"", std::string(kind.type->group), std::string(kind.type->plural), kFollow});
  }
  const std::string gateways(kGatewayGroup);
  for (const auto& [group, resource] :
       {std::pair(gateways, "gatewayclasses"), std::pair(gateways, "gateways"),
        std::pair(gateways, "httproutes"),
        std::pair(std::string(kube_type(KubeKind::kInferencePool).group), "inferencepools")}) {
    needed.push_back({"", group, resource, {"get"}});
    needed.push_back({"", group, std::string(resource) + "/status", {"update"}});
  }
  const std::string leases = "coordination.k8s.io";
  needed.push_back({own, leases, "leases", {"create"}});
  needed.push_back({own, leases, "leases", {"get", "watch", "update"}, {kRoutesLease}});
  return needed;
}

}  // namespace

std::vector<FollowedKind> route_kinds() {
  std::vector<FollowedKind> kinds;
  const auto add = [&kinds](KubeKind kind, bool optional) {
    kinds.push_back({&kube_type(kind), optional});
  };
  for (const KubeKind kind :
       {KubeKind::kGatewayClass, KubeKind::kGateway, KubeKind::kHTTPRoute, KubeKind::kNamespace,
        KubeKind::kService, KubeKind::kEndpointSlice, KubeKind::kPod}) {
    add(kind, false);
  }
  add(KubeKind::kReferenceGrant, true);
  for (const KubeType& type : kube_types()) {
    const bool of_a_pool = type.as == KubeKind::kInferencePool ||
                           type.as == KubeKind::kInferenceObjective ||
                           type.as == KubeKind::kInferenceModelRewrite;
    if (of_a_pool) kinds.push_back({&type, true});
  }
  return kinds;
}

std::string lease_name(const std::string& name_space, const std::string& pool) {
  return "epp-" + name_space + "-" + pool + ".llm-d.ai";
}

std::vector<KubePermission> needed_permissions(const RbacOptions& options) {
  const std::string& pool = options.pool_namespace;
  const std::string own = account_namespace(options);
  if (options.routes) return route_permissions(own);
  std::vector<KubePermission> needed = {{pool, "", "pods", kFollow}};
  if (options.endpoints_only) {
    needed.push_back({pool, options.pool_group, "inferencepools", kFollow});
    return needed;
  }
  // Its own pod, which events are about while there is no pool.
  if (own != pool) needed.push_back({own, "", "pods", {"list"}});
  if (!options.selector) {
    needed.push_back({pool, options.pool_group, "inferencepools", kFollow});
    for (const char* group : {"llm-d.ai", "inference.networking.x-k8s.io"}) {
      for (const char* resource : {"inferenceobjectives", "inferencemodelrewrites"}) {
        needed.push_back({pool, group, resource, kFollow});
      }
    }
  }
  for (const std::string& name_space : std::set<std::string>{pool, own}) {
    needed.push_back({name_space, "events.k8s.io", "events", {"create", "patch"}});
  }
  if (options.leader_election) {
    const std::string group = "coordination.k8s.io";
    const std::string lease = options.pool_name.empty() ? "" : lease_name(pool, options.pool_name);
    // A name cannot limit what is created.
    needed.push_back({pool, group, "leases", {"create"}});
    needed.push_back({pool, group, "leases", {"get", "watch", "update"}, only(lease)});
  }
  if (!options.peers_service.empty()) {
    needed.push_back({own, "discovery.k8s.io", "endpointslices", kFollow});
  }
  if (options.node_labels) needed.push_back({"", "", "nodes", kFollow});
  if (options.metrics_auth) {
    needed.push_back({"", "authentication.k8s.io", "tokenreviews", {"create"}});
    needed.push_back({"", "authorization.k8s.io", "subjectaccessreviews", {"create"}});
  }
  return needed;
}

std::string rbac_manifest(const RbacOptions& options) {
  const std::vector<KubePermission> permissions = needed_permissions(options);
  std::set<std::string> places;
  for (const KubePermission& one : permissions) places.insert(one.name_space);
  std::string text = head("v1", "ServiceAccount", options.account, account_namespace(options));
  for (const std::string& place : places) text += role(options, permissions, place);
  return text;
}

}  // namespace kvasir
