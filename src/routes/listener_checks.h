// What of a Gateway's listeners can be served. Private to routes/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kube/object_store.h"
#include "routes/route_status.h"

namespace kvasir {

// One listener of one of our Gateways.
struct CheckedListener {
  const KubeGateway::Listener* listener = nullptr;
  ListenerStatus status;
  bool serves = false;             // conditions allow it to
  bool takes_http_routes = false;  // by protocol and kinds

  // Whether routes of that namespace may be attached. `labels`: the namespace's.
  bool allows(const std::string& gateway_namespace, const std::string& route_namespace,
              const std::map<std::string, std::string>& labels) const;
};

// In the order of the Gateway. attached_routes is left at 0.
std::vector<CheckedListener> check_listeners(const ObjectStore& store, const KubeGateway& gateway);

// Whether an object of that group, kind and namespace may refer to `to`, whose namespace is
// another.
bool is_granted(const ObjectStore& store, const ReferenceGrant::From& from, const ObjectRef& to);

}  // namespace kvasir
