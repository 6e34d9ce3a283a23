// Where Envoy listens, and the routes of each place. Private to envoy_config/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "envoy_config/envoy_json.h"
#include "envoy_config/envoy_options.h"
#include "kube/object_store.h"
#include "routes/route_table.h"

namespace kvasir {

struct EnvoyListeners {
  EnvoyJson listeners = EnvoyJson::array();
  std::map<std::string, EnvoyJson> routes;   // by the name of the configuration
  std::map<std::string, EnvoyJson> secrets;  // certificates and their keys
};

EnvoyListeners envoy_listeners(const RouteTable& table, const ObjectStore& store,
                               const EnvoyOptions& options);

}  // namespace kvasir
