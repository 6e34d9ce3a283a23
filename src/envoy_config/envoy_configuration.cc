#include "envoy_config/envoy_configuration.h"

#include <utility>

#include "envoy_config/envoy_clusters.h"
#include "envoy_config/envoy_json.h"
#include "envoy_config/envoy_listeners.h"
#include "envoy_config/envoy_names.h"

namespace kvasir {
namespace {

constexpr const char* kListenersFile = "listeners.json";
constexpr const char* kClustersFile = "clusters.json";
constexpr const char* kBootstrapFile = "bootstrap.json";

// Envoy's own limit refuses all but short regular expressions; those of routes were compiled within
// a limit of memory before.
constexpr const char* kRegexLimit = "re2.max_program_size.error_level";
constexpr int64_t kRegexProgramMost = 1'000'000;
// A field that stands several times is one value, joined with commas, as RFC 9110 has it; Envoy by
// itself looks at the first.
constexpr const char* kFieldsApart = "envoy.reloadable_features.match_headers_individually";

std::string text_of(const EnvoyJson& json) {
  return json.dump(1, ' ', false, EnvoyJson::error_handler_t::replace);
}

void add_files(const std::string& folder, const std::map<std::string, EnvoyJson>& resources,
               std::vector<EnvoyConfiguration::File>& files) {
  for (const auto& [name, resource] : resources) {
    files.push_back({file_of(folder, name), resources_text(EnvoyJson::array({resource}))});
  }
}

std::string bootstrap_text(const EnvoyOptions& options) {
  EnvoyJson limits = {{"name", "kvasir"},
                      {"static_layer", {{kRegexLimit, kRegexProgramMost}, {kFieldsApart, false}}}};
  const EnvoyJson bootstrap = {
      {"node", {{"id", "kvasir"}, {"cluster", "kvasir"}}},
      {"admin", {{"address", socket_address(options.admin.host, options.admin.port)}}},
      {"layered_runtime", {{"layers", EnvoyJson::array({std::move(limits)})}}},
      {"dynamic_resources",
       {{"cds_config", file_source(options.folder + "/" + kClustersFile)},
        {"lds_config", file_source(options.folder + "/" + kListenersFile)}}}};
  return text_of(bootstrap).append("\n");
}

// Copies of requests go to Services only.
void remark_mirrors(const RouteTable& table, std::vector<std::string>& remarks) {
  std::string last;
  for (const RouteListener& listener : table.listeners()) {
    for (const RouteEntry& entry : listener.entries) {
      for (const RouteBackend& mirror : entry.rule->mirrors) {
        if (!mirror.target || mirror.target->kind != RouteTarget::Kind::kPool) continue;
        std::string remark =
            to_string(*entry.rule) +
            ": Envoy asks no picker for mirrored requests, so that none go to InferencePool " +
            to_string(mirror.target->object);
        if (remark != last) remarks.push_back(last = std::move(remark));
      }
    }
  }
}

}  // namespace

EnvoyConfiguration envoy_configuration(const EffectiveRoutes& routes, const ObjectStore& store,
                                       const EnvoyOptions& options) {
  EnvoyConfiguration made;
  EnvoyClusters clusters = envoy_clusters(routes.targets, store, options);
  const EnvoyListeners listeners = envoy_listeners(*routes.table, store, options);
  add_files("endpoints", clusters.endpoints, made.endpoints);
  for (const auto& [name, cluster] : clusters.clusters) {
    EnvoyJson resource = typed("envoy.config.cluster.v3.Cluster");
    resource.update(cluster);
    made.clusters.emplace(name, text_of(resource));
  }
  add_files("secrets", listeners.secrets, made.others);
  add_files("routes", listeners.routes, made.others);
  made.others.push_back({kListenersFile, resources_text(listeners.listeners)});
  made.others.push_back({kBootstrapFile, bootstrap_text(options)});
  made.remarks = std::move(clusters.remarks);
  remark_mirrors(*routes.table, made.remarks);
  return made;
}

std::string clusters_text(const std::map<std::string, std::string>& clusters) {
  std::string text = "{\"resources\": [";
  const char* between = "\n";
  for (const auto& [name, cluster] : clusters) {
    text.append(between).append(cluster);
    between = ",\n";
  }
  return text.append("\n]}\n");
}

}  // namespace kvasir
