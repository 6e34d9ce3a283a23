#include "envoy_config/envoy_clusters.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "envoy_config/envoy_names.h"
#include "routes/service_addresses.h"
#include "wire/kube/kube_objects.h"

namespace kvasir {
namespace {

constexpr const char* kConnectTimeout = "5s";
constexpr const char* kDestination = "x-gateway-destination-endpoint";
constexpr const char* kPolicies = "envoy.extensions.load_balancing_policies.";

// Answers take minutes, so that there are many at once: Envoy's own limit of 1,024 is too low. An
// Envoy may open about as many connections.
constexpr int kAtOnceMost = 40'000;

// A prompt of 100,000 tokens stalls in smaller windows.
constexpr int kStreamWindow = 4 << 20;
constexpr int kConnectionWindow = 64 << 20;

bool is_address(const std::string& host) {
  in6_addr bytes{};
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

EnvoyJson cluster_named(const std::string& name) {
  EnvoyJson breakers = {{"max_connections", kAtOnceMost},
                        {"max_pending_requests", kAtOnceMost},
                        {"max_requests", kAtOnceMost}};
  return {{"name", name},
          {"connect_timeout", kConnectTimeout},
          {"circuit_breakers", {{"thresholds", EnvoyJson::array({std::move(breakers)})}}}};
}

void speak_http2(EnvoyJson settings, EnvoyJson& cluster) {
  EnvoyJson options = typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
  options["explicit_http_config"] = {{"http2_protocol_options", std::move(settings)}};
  cluster["typed_extension_protocol_options"] = {
      {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", std::move(options)}};
}

EnvoyJson load_assignment(const std::string& name, const std::vector<HostPort>& members) {
  EnvoyJson endpoints = EnvoyJson::array();
  for (const HostPort& member : members) {
    endpoints.push_back({{"endpoint", {{"address", socket_address(member.host, member.port)}}}});
  }
  EnvoyJson locality = {{"lb_endpoints", std::move(endpoints)}};
  return {{"cluster_name", name}, {"endpoints", EnvoyJson::array({std::move(locality)})}};
}

EnvoyJson policy(const char* name, EnvoyJson config) {
  EnvoyJson extension = {{"name", std::string("envoy.load_balancing_policies.") + name},
                         {"typed_config", std::move(config)}};
  EnvoyJson one = {{"typed_extension_config", std::move(extension)}};
  return {{"policies", EnvoyJson::array({std::move(one)})}};
}

class ClusterMaker {
 public:
  ClusterMaker(const ObjectStore& store, const EnvoyOptions& options)
      : store_(store), options_(options) {}

  void add_service(const RouteTarget& target) {
    EnvoyJson cluster = cluster_named(cluster_name(target));
    if (target.h2c) speak_http2(EnvoyJson::object(), cluster);
    add(std::move(cluster), service_members(store_, target.object, target.port));
  }

  void add_pool(const RouteTarget& target) {
    const auto pool = store_.get<InferencePool>(target.object.name_space, target.object.name);
    if (pool == nullptr) return;
    EnvoyJson cluster = cluster_named(cluster_name(target));
    if (target.h2c) speak_http2(EnvoyJson::object(), cluster);
    if (pool->picker) add_picker(*pool);
    if (pool->picker && !pool->picker->fail_open) {
      cluster["type"] = "ORIGINAL_DST";
      cluster["lb_policy"] = "CLUSTER_PROVIDED";
      cluster["original_dst_lb_config"] = {{"use_http_header", true},
                                           {"http_header_name", kDestination}};
      made_.clusters.emplace(cluster_name(target), std::move(cluster));
      return;
    }
    cluster["load_balancing_policy"] = pool->picker ? picked_else_any() : any();
    std::vector<HostPort> members = pool_members(*pool);
    if (members.empty()) remark_no_members(*pool);
    add(std::move(cluster), std::move(members));
  }

  EnvoyClusters take() { return std::move(made_); }

 private:
  static EnvoyJson any() {
    return policy("round_robin", typed(std::string(kPolicies) + "round_robin.v3.RoundRobin"));
  }

  // The picker's endpoint when it is one of the members, which no client can get round.
  static EnvoyJson picked_else_any() {
    EnvoyJson config = typed(std::string(kPolicies) + "override_host.v3.OverrideHost");
    EnvoyJson header = {{"header", kDestination}};
    config["override_host_sources"] = EnvoyJson::array({std::move(header)});
    config["fallback_policy"] = any();
    return policy("override_host", std::move(config));
  }

  // With its endpoints in a file, or, where some are names, looked up again and again.
  void add(EnvoyJson cluster, std::vector<HostPort> members) {
    const std::string name = cluster["name"];
    const bool addresses = std::all_of(members.begin(), members.end(),
                                       [](const HostPort& one) { return is_address(one.host); });
    if (addresses) {
      cluster["type"] = "EDS";
      cluster["eds_cluster_config"] = {
          {"eds_config", file_source(options_.folder + "/" + file_of("endpoints", name))}};
      EnvoyJson endpoints = typed("envoy.config.endpoint.v3.ClusterLoadAssignment");
      endpoints.update(load_assignment(name, members));
      made_.endpoints.emplace(name, std::move(endpoints));
    } else {
      cluster["type"] = "STRICT_DNS";
      cluster["load_assignment"] = load_assignment(name, members);
    }
    made_.clusters.emplace(name, std::move(cluster));
  }

  void add_picker(const InferencePool& pool) {
    const ObjectKey key{pool.meta.name_space, pool.picker->name};
    const uint16_t port = pool.picker->port.value_or(0);
    const auto service = store_.get<Service>(key.name_space, key.name);
    const ServicePort* found = nullptr;
    for (size_t i = 0; service != nullptr && i < service->ports.size(); ++i) {
      if (service->ports[i].port == port) found = &service->ports[i];
    }
    if (found == nullptr) {
      made_.remarks.push_back("InferencePool " + to_string(pool.meta.key()) +
                              ": its picker, Service " + to_string(key) + " port " +
                              std::to_string(port) + ", is not there, and " +
                              (pool.picker->fail_open ? "requests go to any of its pods"
                                                      : "its requests are refused with 500"));
    }
    EnvoyJson cluster = cluster_named(picker_name(pool.meta.key()));
    speak_http2({{"initial_stream_window_size", kStreamWindow},
                 {"initial_connection_window_size", kConnectionWindow}},
                cluster);
    // One that has just died is not asked again for a while.
    cluster["outlier_detection"] = {{"consecutive_gateway_failure", 1},
                                    {"enforcing_consecutive_gateway_failure", 100},
                                    {"max_ejection_percent", 50},
                                    {"base_ejection_time", "30s"}};
    if (found == nullptr || !is_plain(*found)) speak_tls(cluster);
    add(std::move(cluster), service_members(store_, key, port));
  }

  bool is_plain(const ServicePort& port) const {
    if (port.app_protocol.empty()) return options_.plain_pickers;
    return port.app_protocol == "kubernetes.io/h2c" || port.app_protocol == "http";
  }

  // Pickers make their certificates themselves, so that nobody could check them.
  static void speak_tls(EnvoyJson& cluster) {
    EnvoyJson tls = typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext");
    tls["common_tls_context"] = {{"alpn_protocols", EnvoyJson::array({"h2"})}};
    cluster["transport_socket"] = {{"name", "envoy.transport_sockets.tls"},
                                   {"typed_config", std::move(tls)}};
  }

  std::vector<HostPort> pool_members(const InferencePool& pool) const {
    std::vector<HostPort> members;
    store_.for_each<Pod>(pool.meta.name_space, [&](const Pod& pod) {
      const bool serves = pod.ready && !pod.meta.deleting && !pod.ip.empty();
      if (!serves || !selects(pool, pod.meta.labels)) return;
      for (const uint16_t port : pool.target_ports) members.push_back({pod.ip, port});
    });
    return members;
  }

  void remark_no_members(const InferencePool& pool) {
    made_.remarks.push_back("InferencePool " + to_string(pool.meta.key()) +
                            ": none of its pods is known to be ready, and " +
                            (pool.picker ? "those that the picker names cannot be reached"
                                         : "it has no picker, so its requests are refused"));
  }

  const ObjectStore& store_;
  const EnvoyOptions& options_;
  EnvoyClusters made_;
};

}  // namespace

EnvoyClusters envoy_clusters(const std::vector<RouteTarget>& targets, const ObjectStore& store,
                             const EnvoyOptions& options) {
  ClusterMaker maker(store, options);
  for (const RouteTarget& target : targets) {
    if (target.kind == RouteTarget::Kind::kService) maker.add_service(target);
    if (target.kind == RouteTarget::Kind::kPool) maker.add_pool(target);
  }
  return maker.take();
}

}  // namespace kvasir
