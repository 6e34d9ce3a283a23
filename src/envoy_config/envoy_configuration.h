// What an Envoy is to be told so that it carries requests as `kvasir gateway --routes` does: the
// files that it reads and watches, made of the same routes. No I/O.
//
// Envoy reads them by its own protocol for files (xDS over the file system): a bootstrap, which it
// is started with, names files of listeners and clusters, and these name one file each for routes,
// endpoints and certificates. Source: Envoy's API, v3.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "envoy_config/envoy_options.h"
#include "kube/object_store.h"
#include "routes/effective_routes.h"

namespace kvasir {

struct EnvoyConfiguration {
  struct File {
    std::string name;  // below the folder: "routes/port-80.json"
    std::string text;
  };
  // Before and after clusters.json, in the order in which they are to be written, so that nothing
  // is named before it is there.
  std::vector<File> endpoints;
  std::map<std::string, std::string> clusters;  // by name, as JSON
  std::vector<File> others;                     // certificates, routes, listeners, bootstrap
  // What Envoy does not do as the gateway would, or cannot do: for people.
  std::vector<std::string> remarks;
};

EnvoyConfiguration envoy_configuration(const EffectiveRoutes& routes, const ObjectStore& store,
                                       const EnvoyOptions& options);

// clusters.json.
std::string clusters_text(const std::map<std::string, std::string>& clusters);

}  // namespace kvasir
