// What Gateways, HTTPRoutes and ReferenceGrants of a store come to together: the table of what is
// routed, and the conditions that say what is not and why.
//
// A route is attached to a listener that its parentRefs name (by section and port where they do),
// that lets its namespace and kind in, and whose host name has names in common with the route's.
// References across namespaces need a ReferenceGrant where they point to. What a rule refers to and
// is not there takes its share of the rule's requests, which are refused with 500; a rule with a
// filter that is not known refuses all of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kube/object_store.h"
#include "routes/route_status.h"
#include "routes/route_table.h"

namespace kvasir {

struct EffectiveRoutes {
  std::shared_ptr<const RouteTable> table;
  std::vector<GatewayStatus> gateways;  // ours, by namespace and name
  std::vector<RouteStatus> routes;      // those that name one of ours
  std::vector<RouteTarget> targets;     // each once: where rules may send requests
};

// `is_ours`: the Gateways that count.
EffectiveRoutes effective_routes(const ObjectStore& store,
                                 const std::function<bool(const KubeGateway&)>& is_ours);

}  // namespace kvasir
