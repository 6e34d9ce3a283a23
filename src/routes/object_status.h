// What a controller of the Gateway API says of objects, and how it comes into their status: ours is
// put among what others say, which stays.
//
// Sources: the Gateway API v1 (GatewayStatus, RouteParentStatus, GatewayClassStatus) and the
// Inference Extension v1 (InferencePoolStatus.parents).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/object_store.h"
#include "routes/effective_routes.h"
#include "wire/kube/kube_types.h"

namespace kvasir {

// Of one object, in the fields that its kind has.
struct ObjectStatus {
  struct Parent {
    HTTPRoute::ParentRef parent;
    std::vector<RouteCondition> conditions;
  };
  const KubeType* type = nullptr;  // as the object is written
  ObjectKey key;
  std::vector<RouteCondition> conditions;  // of a GatewayClass or Gateway
  std::vector<ListenerStatus> listeners;   // of a Gateway
  std::vector<std::string> addresses;      // the same; empty: not ours to say
  std::vector<Parent> parents;             // of an HTTPRoute or InferencePool
};

struct StatusOptions {
  std::string controller_name = "kvasir.dev/gateway";  // of our GatewayClasses
  std::vector<std::string> addresses;                  // of each Gateway: IP addresses and names
};

// Of all that `routes` were made of, which must be the store's as it is now: our GatewayClasses and
// Gateways, and every HTTPRoute and InferencePool, so that what no longer belongs to us can be
// taken back.
std::vector<ObjectStatus> object_statuses(const EffectiveRoutes& routes, const ObjectStore& store,
                                          const StatusOptions& options);

// The object's JSON, as an API server has it, with `status` in it; empty: it says that already. A
// condition whose status stays keeps its lastTransitionTime, others get `now` (RFC 3339); each
// observed the object's generation. Error: the text is no object.
Result<std::string> with_status(std::string_view object, const ObjectStatus& status,
                                const std::string& controller_name, const std::string& now);

}  // namespace kvasir
