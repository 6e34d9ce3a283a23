#include "envoy_config/envoy_listeners.h"

#include <algorithm>
#include <set>
#include <utility>

#include "envoy_config/envoy_actions.h"
#include "envoy_config/envoy_filters.h"
#include "envoy_config/envoy_names.h"
#include "envoy_config/virtual_hosts.h"

namespace kvasir {
namespace {

// A whole prompt is held for a picker that may fail, and for tries after the first.
constexpr int kBufferBytes = 32 << 20;
// An answer may stand still for long while its prompt waits for its turn.
constexpr const char* kIdleTimeout = "3600s";
constexpr const char* kHeadTimeout = "60s";

constexpr const char* kNoRoute = "no route is for this host, path and method";
constexpr int kNotFoundStatus = 404;
constexpr int kMisdirectedStatus = 421;

EnvoyJson virtual_host(const std::string& hostname) {
  const std::string domain = hostname.empty() ? "*" : hostname;
  return {{"name", domain}, {"domains", EnvoyJson::array({domain})}};
}

EnvoyJson refusing_host(const std::string& hostname, int status, const std::string& message) {
  EnvoyJson refusing = virtual_host(hostname);
  refusing["routes"] = EnvoyJson::array({refuse_all(status, message)});
  return refusing;
}

EnvoyJson routing_host(const VirtualHost& host, const ObjectStore& store) {
  EnvoyJson routing = virtual_host(host.hostname);
  EnvoyJson& routes = routing["routes"];
  for (const RouteEntry* entry : host.entries) {
    for (EnvoyJson& route : envoy_routes(*entry, host, store)) routes.push_back(std::move(route));
  }
  routes.push_back(refuse_all(kNotFoundStatus, kNoRoute));
  return routing;
}

// `only`: of that listener alone, whose certificate the client has seen; null: of all.
EnvoyJson route_config(const std::string& name, const std::vector<VirtualHost>& hosts,
                       const RouteListener* only, const ObjectStore& store) {
  EnvoyJson config = typed("envoy.config.route.v3.RouteConfiguration");
  config["name"] = name;
  config["ignore_port_in_host_matching"] = true;
  EnvoyJson& made = config["virtual_hosts"];
  bool any_host = false;
  for (const VirtualHost& host : hosts) {
    any_host = any_host || host.hostname.empty();
    const bool of_other = only != nullptr && host.listener != only;
    made.push_back(of_other ? refusing_host(host.hostname, kMisdirectedStatus,
                                            "this host is served with another certificate: "
                                            "connect with its name")
                            : routing_host(host, store));
  }
  if (!any_host) made.push_back(refusing_host("", kNotFoundStatus, kNoRoute));
  return config;
}

EnvoyJson connection_manager(const std::string& routes, uint16_t port,
                             const EnvoyOptions& options) {
  EnvoyJson manager =
      typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager");
  manager["stat_prefix"] = "port_" + std::to_string(port);
  manager["rds"] = {
      {"route_config_name", routes},
      {"config_source", file_source(options.folder + "/" + file_of("routes", routes))}};
  manager["http_filters"] = http_filters();
  // Paths are compared in the normal form that docs/HTTP.md has.
  manager["normalize_path"] = true;
  manager["merge_slashes"] = true;
  manager["strip_trailing_host_dot"] = true;
  manager["use_remote_address"] = true;  // nobody in front is trusted to say who asks
  manager["preserve_external_request_id"] = true;
  manager["server_header_transformation"] = "PASS_THROUGH";
  manager["stream_idle_timeout"] = kIdleTimeout;
  manager["request_headers_timeout"] = kHeadTimeout;
  return manager;
}

EnvoyJson filter_chain(EnvoyJson manager) {
  EnvoyJson filter = {{"name", "envoy.filters.network.http_connection_manager"},
                      {"typed_config", std::move(manager)}};
  return {{"filters", EnvoyJson::array({std::move(filter)})}};
}

std::vector<ObjectKey> certificates_of(const RouteListener& listener, const ObjectStore& store) {
  std::vector<ObjectKey> keys;
  const auto gateway = store.get<KubeGateway>(listener.gateway.name_space, listener.gateway.name);
  if (gateway == nullptr) return keys;
  for (const KubeGateway::Listener& one : gateway->listeners) {
    if (one.name != listener.name) continue;
    for (const ObjectRef& ref : one.certificates) {
      keys.push_back(
          {ref.name_space.empty() ? listener.gateway.name_space : ref.name_space, ref.name});
    }
  }
  return keys;
}

class ListenerMaker {
 public:
  ListenerMaker(const RouteTable& table, const ObjectStore& store, const EnvoyOptions& options)
      : table_(table), store_(store), options_(options) {}

  EnvoyListeners make() {
    std::set<uint16_t> ports;
    for (const RouteListener& listener : table_.listeners()) ports.insert(listener.port);
    for (const uint16_t port : ports) made_.listeners.push_back(listener_of(port));
    return std::move(made_);
  }

 private:
  EnvoyJson listener_of(uint16_t port) {
    EnvoyJson chains = tls_chains(port);
    const bool tls = !chains.empty();
    const std::vector<VirtualHost> plain = virtual_hosts(table_, port, false);
    if (!plain.empty()) {
      const std::string name = route_config_name(port);
      made_.routes.emplace(name, route_config(name, plain, nullptr, store_));
      EnvoyJson chain = filter_chain(connection_manager(name, port, options_));
      if (tls) chain["filter_chain_match"] = {{"transport_protocol", "raw_buffer"}};
      chains.push_back(std::move(chain));
    }
    EnvoyJson listener = typed("envoy.config.listener.v3.Listener");
    listener["name"] = "port-" + std::to_string(port);
    const auto mapped = options_.ports.find(port);
    listener["address"] = socket_address(options_.listener_address,
                                         mapped == options_.ports.end() ? port : mapped->second);
    listener["per_connection_buffer_limit_bytes"] = kBufferBytes;
    if (tls) {
      EnvoyJson inspector = {{"name", "envoy.filters.listener.tls_inspector"}};
      inspector["typed_config"] =
          typed("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector");
      listener["listener_filters"] = EnvoyJson::array({std::move(inspector)});
    }
    listener["filter_chains"] = std::move(chains);
    return listener;
  }

  // One for each listener, which clients name in their handshake.
  EnvoyJson tls_chains(uint16_t port) {
    EnvoyJson chains = EnvoyJson::array();
    const std::vector<VirtualHost> hosts = virtual_hosts(table_, port, true);
    std::set<std::string> names;
    for (const VirtualHost& host : hosts) {
      const RouteListener& listener = *host.listener;
      if (!names.insert(listener.hostname).second) continue;
      const std::string name = route_config_name(port, listener.gateway, listener.name);
      made_.routes.emplace(name, route_config(name, hosts, &listener, store_));
      EnvoyJson chain = filter_chain(connection_manager(name, port, options_));
      EnvoyJson match = {{"transport_protocol", "tls"}};
      if (!listener.hostname.empty()) {
        match["server_names"] = EnvoyJson::array({listener.hostname});
      }
      chain["filter_chain_match"] = std::move(match);
      chain["transport_socket"] = tls_socket(listener);
      chains.push_back(std::move(chain));
    }
    return chains;
  }

  EnvoyJson tls_socket(const RouteListener& listener) {
    EnvoyJson tls = typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext");
    EnvoyJson& common = tls["common_tls_context"];
    common["alpn_protocols"] = EnvoyJson::array({"h2", "http/1.1"});
    for (const ObjectKey& key : certificates_of(listener, store_)) {
      const std::string name = secret_name(key);
      add_secret(key, name);
      common["tls_certificate_sds_secret_configs"].push_back(
          {{"name", name},
           {"sds_config", file_source(options_.folder + "/" + file_of("secrets", name))}});
    }
    return {{"name", "envoy.transport_sockets.tls"}, {"typed_config", std::move(tls)}};
  }

  void add_secret(const ObjectKey& key, const std::string& name) {
    const auto secret = store_.get<Secret>(key.name_space, key.name);
    if (secret == nullptr) return;
    const auto member = [&secret](const char* of) -> EnvoyJson {
      const auto found = secret->data.find(of);
      return {{"inline_string", found == secret->data.end() ? "" : found->second}};
    };
    EnvoyJson made = typed("envoy.extensions.transport_sockets.tls.v3.Secret");
    made["name"] = name;
    made["tls_certificate"] = {{"certificate_chain", member("tls.crt")},
                               {"private_key", member("tls.key")}};
    made_.secrets.emplace(name, std::move(made));
  }

  const RouteTable& table_;
  const ObjectStore& store_;
  const EnvoyOptions& options_;
  EnvoyListeners made_;
};

}  // namespace

EnvoyListeners envoy_listeners(const RouteTable& table, const ObjectStore& store,
                               const EnvoyOptions& options) {
  return ListenerMaker(table, store, options).make();
}

}  // namespace kvasir
