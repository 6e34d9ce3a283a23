// Where Envoy sends requests: clusters and their endpoints. Private to envoy_config/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "envoy_config/envoy_json.h"
#include "envoy_config/envoy_options.h"
#include "kube/object_store.h"
#include "routes/route_rule.h"

namespace kvasir {

struct EnvoyClusters {
  std::map<std::string, EnvoyJson> clusters;   // by name
  std::map<std::string, EnvoyJson> endpoints;  // of those that have them in files of their own
  std::vector<std::string> remarks;
};

EnvoyClusters envoy_clusters(const std::vector<RouteTarget>& targets, const ObjectStore& store,
                             const EnvoyOptions& options);

}  // namespace kvasir
