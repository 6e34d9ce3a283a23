#include "routes/object_status.h"

#include <map>
#include <set>
#include <utility>

namespace kvasir {
namespace {

// The pools that each of our gateways sends requests to.
std::map<ObjectKey, std::set<ObjectKey>> gateways_by_pool(const RouteTable& table) {
  std::map<ObjectKey, std::set<ObjectKey>> gateways;
  for (const RouteListener& listener : table.listeners()) {
    for (const RouteEntry& entry : listener.entries) {
      for (const RouteBackend& backend : entry.rule->backends) {
        if (!backend.target || backend.target->kind != RouteTarget::Kind::kPool) continue;
        gateways[backend.target->object].insert(listener.gateway);
      }
    }
  }
  return gateways;
}

ObjectStatus status_of(const KubeObject& object) {
  ObjectStatus status;
  status.type = object.type;
  status.key = object.meta.key();
  return status;
}

void add_classes(const ObjectStore& store, const StatusOptions& options,
                 std::vector<ObjectStatus>& all) {
  store.for_each<GatewayClass>("", [&](const GatewayClass& one) {
    if (one.controller != options.controller_name || one.meta.deleting) return;
    ObjectStatus& status = all.emplace_back(status_of(one));
    status.conditions.push_back({"Accepted", true, "Accepted", ""});
  });
}

void add_gateways(const EffectiveRoutes& routes, const ObjectStore& store,
                  const StatusOptions& options, std::vector<ObjectStatus>& all) {
  for (const GatewayStatus& one : routes.gateways) {
    const auto gateway = store.get<KubeGateway>(one.gateway.name_space, one.gateway.name);
    if (gateway == nullptr) continue;
    ObjectStatus& status = all.emplace_back(status_of(*gateway));
    status.conditions = one.conditions;
    status.listeners = one.listeners;
    status.addresses = options.addresses;
  }
}

void add_routes(const EffectiveRoutes& routes, const ObjectStore& store,
                std::vector<ObjectStatus>& all) {
  std::map<ObjectKey, const RouteStatus*> known;
  for (const RouteStatus& one : routes.routes) known.emplace(one.route, &one);
  store.for_each<HTTPRoute>("", [&](const HTTPRoute& route) {
    if (route.meta.deleting) return;
    ObjectStatus& status = all.emplace_back(status_of(route));
    const auto found = known.find(route.meta.key());
    if (found == known.end()) return;
    for (const RouteParentStatus& parent : found->second->parents) {
      status.parents.push_back({parent.parent, parent.conditions});
    }
  });
}

// Only the upstream's v1 has a list of parents that says who wrote which.
void add_pools(const EffectiveRoutes& routes, const ObjectStore& store,
               std::vector<ObjectStatus>& all) {
  const auto gateways = gateways_by_pool(*routes.table);
  store.for_each<InferencePool>("", [&](const InferencePool& pool) {
    if (pool.meta.deleting || pool.type != &kube_type(KubeKind::kInferencePool)) return;
    ObjectStatus& status = all.emplace_back(status_of(pool));
    const auto found = gateways.find(pool.meta.key());
    if (found == gateways.end()) return;
    for (const ObjectKey& gateway : found->second) {
      ObjectStatus::Parent& parent = status.parents.emplace_back();
      parent.parent.to = {std::string(kGatewayGroup), "Gateway", gateway.name_space, gateway.name};
      parent.conditions = {{"Accepted", true, "Accepted", ""},
                           {"ResolvedRefs", true, "ResolvedRefs", ""}};
    }
  });
}

}  // namespace

std::vector<ObjectStatus> object_statuses(const EffectiveRoutes& routes, const ObjectStore& store,
                                          const StatusOptions& options) {
  std::vector<ObjectStatus> all;
  add_classes(store, options, all);
  add_gateways(routes, store, options, all);
  add_routes(routes, store, all);
  add_pools(routes, store, all);
  return all;
}

}  // namespace kvasir
