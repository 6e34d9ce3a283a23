// What is done with the requests of a rule, as Envoy's Route has it. Private to envoy_config/.
#pragma once

#include <string>
#include <vector>

#include "envoy_config/envoy_json.h"
#include "envoy_config/virtual_hosts.h"
#include "kube/object_store.h"

namespace kvasir {

// The routes of one entry of a virtual host, in order; more than one where Envoy needs that to do
// the same. Requests that the entry matches are answered by one of them, others by none.
std::vector<EnvoyJson> envoy_routes(const RouteEntry& entry, const VirtualHost& host,
                                    const ObjectStore& store);

// A route for every path, which answers with that error.
EnvoyJson refuse_all(int status, const std::string& message);

}  // namespace kvasir
