// What a Gateway API implementation says of Gateways and HTTPRoutes: conditions, by the API's names
// and reasons.
#pragma once

#include <string>
#include <vector>

#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

struct RouteCondition {
  std::string type;    // "Accepted"
  bool holds = false;  // status
  std::string reason;  // "NoMatchingParent"
  std::string message;

  bool operator==(const RouteCondition&) const = default;
};

struct RouteParentStatus {
  HTTPRoute::ParentRef parent;
  std::vector<RouteCondition> conditions;
};

struct RouteStatus {
  ObjectKey route;
  std::vector<RouteParentStatus> parents;  // in the order of the route, of our gateways alone
};

struct ListenerStatus {
  std::string name;
  std::vector<KubeGateway::Listener::RouteKind> supported_kinds;
  size_t attached_routes = 0;
  std::vector<RouteCondition> conditions;
};

struct GatewayStatus {
  ObjectKey gateway;
  std::vector<RouteCondition> conditions;
  std::vector<ListenerStatus> listeners;
};

}  // namespace kvasir
