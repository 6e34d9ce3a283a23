// Where the members of a Service's port are, as the objects of a store say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kube/object_store.h"
#include "net/io/socket.h"

namespace kvasir {

// Those of its EndpointSlices that are ready, or, when none is, that serve while they terminate;
// each once, in their order. Without any slice the Service itself: its external name or its cluster
// address, else its name in the cluster's DNS. Empty: it is not there, has no such port, or nobody
// is ready.
std::vector<HostPort> service_members(const ObjectStore& store, const ObjectKey& service,
                                      uint16_t port);

}  // namespace kvasir
