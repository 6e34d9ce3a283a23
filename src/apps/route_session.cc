#include "apps/route_session.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "apps/routes_text.h"
#include "gateway/gateway.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

std::set<uint16_t> listener_ports(const RouteTable& table, bool tls) {
  std::set<uint16_t> ports;
  for (const RouteListener& listener : table.listeners()) {
    if (listener.tls == tls) ports.insert(listener.port);
  }
  return ports;
}

// The listeners' port whose routes are served. `tls`: what clients speak at --port.
Result<uint16_t> chosen_port(const RouteTable& table, bool tls, uint16_t asked) {
  const std::string protocol = tls ? "HTTPS" : "HTTP";
  const std::set<uint16_t> ports = listener_ports(table, tls);
  std::string known;
  for (const uint16_t port : ports) {
    known.append(known.empty() ? "" : ", ").append(std::to_string(port));
  }
  if (ports.empty()) {
    return Error{"--routes: no Gateway there has a listener of protocol " + protocol +
                 " that can be served: `kvasir routes -f` says why" +
                 (listener_ports(table, !tls).empty() ? ""
                  : tls ? "; those of protocol HTTP are served without --tls-cert-path"
                        : "; those of protocol HTTPS are served with --tls-cert-path")};
  }
  if (asked == 0 && ports.size() == 1) return *ports.begin();
  if (ports.count(asked) > 0) return asked;
  if (asked == 0) {
    return Error{"--listener-port is missing: listeners have the ports " + known +
                 "; which is served at --port?"};
  }
  return Error{"--listener-port: no " + protocol + " listener has port " + std::to_string(asked) +
               "; there are " + known};
}

// The one that the workers of the flags are; nullopt: routes name none.
Result<std::optional<ObjectKey>> own_pool(const EffectiveRoutes& routes) {
  std::vector<ObjectKey> pools;
  for (const RouteTarget& target : routes.targets) {
    if (target.kind == RouteTarget::Kind::kPool) pools.push_back(target.object);
  }
  pools.erase(std::unique(pools.begin(), pools.end()), pools.end());
  if (pools.empty()) return std::optional<ObjectKey>();
  if (pools.size() == 1) return std::optional<ObjectKey>(pools[0]);
  return Error{"--routes: the rules name the InferencePools " + to_string(pools[0]) + " and " +
               to_string(pools[1]) +
               ", and other flags say where the workers of one are; leave those flags out, and the "
               "Pods among the objects say it of each"};
}

Result<void> check_flags(const RouteFlags& flags) {
  if (flags.from_cluster && !flags.paths.empty()) {
    return Error{
        "--routes and --routes-from-cluster: objects come from files or from an API server, not "
        "from both"};
  }
  const RouteFlags defaults;
  const bool names_controller = flags.controller_name != defaults.controller_name;
  if (!flags.from_cluster && (names_controller || !flags.addresses.empty())) {
    return Error{"--gateway-controller-name and --gateway-address need --routes-from-cluster"};
  }
  if (flags.controller_name.find('/') == std::string::npos) {
    return Error{"--gateway-controller-name: '" + flags.controller_name +
                 "' is not DOMAIN/PATH, as in " + defaults.controller_name};
  }
  if (flags.any()) return {};
  if (flags.listener_port != 0) return Error{"--listener-port needs --routes"};
  if (!flags.pool_configs.empty()) return Error{"--pool-config needs --routes"};
  return {};
}

}  // namespace

void add_route_flags(CLI::App& command, RouteFlags& flags) {
  command
      .add_option(
          "--routes", flags.paths,
          "Route by the Gateways, HTTPRoutes, ReferenceGrants, Services and EndpointSlices\n"
          "in this file or folder, which is watched; may stand several times. Rules send\n"
          "requests to Services and InferencePools. The workers of an InferencePool are the\n"
          "Pods there that it selects, with the InferenceObjectives and\n"
          "InferenceModelRewrites there; or, of a single one, what other flags say\n"
          "(--worker-urls, ...). What they come to: kvasir routes -f FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag(
      "--routes-from-cluster", flags.from_cluster,
      "Route by the same objects of a Kubernetes cluster, in every namespace, and write\n"
      "conditions into them. What it takes: kvasir kube rbac --routes");
  command
      .add_option("--gateway-controller-name", flags.controller_name,
                  "With --routes-from-cluster: Gateways count whose GatewayClass names this\n"
                  "controller")
      ->capture_default_str();
  command
      .add_option(
          "--gateway-address", flags.addresses,
          "With --routes-from-cluster: an IP address or host name that Gateways are said to\n"
          "have in their status; may stand several times (default: nothing is said)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--listener-port", flags.listener_port,
                     "With --routes: the port that the listeners have whose routes are served at\n"
                     "--port (default: that of the only HTTP listeners; from a cluster 80)");
  command
      .add_option("--pool-config", flags.pool_configs,
                  "With --routes: an EndpointPickerConfig for one of the InferencePools, instead\n"
                  "of --policy or --config, as NAMESPACE/NAME=FILE; may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--routes-namespace", flags.name_space,
                  "With --routes: of objects that name no namespace themselves")
      ->capture_default_str();
}

Result<std::unique_ptr<RouteSession>> RouteSession::open(EventLoop& loop, const RouteFlags& flags,
                                                         const std::string& kubeconfig,
                                                         GatewayOptions& options) {
  if (const Result<void> good = check_flags(flags); !good) return good.error();
  if (!flags.any()) return std::unique_ptr<RouteSession>();
  Result<PoolConfigFiles> pool_configs = read_pool_configs(flags.pool_configs);
  if (!pool_configs) return pool_configs.error();
  std::unique_ptr<RouteSession> session(new RouteSession(loop, std::move(*pool_configs)));
  Result<void> begun =
      flags.from_cluster ? session->follow_cluster(flags, kubeconfig) : session->watch_files(flags);
  if (!begun) return begun.error();
  if (Result<void> chosen = session->choose_port(flags, options); !chosen) return chosen.error();
  const EffectiveRoutes& routes = session->feed_->current()->routes;
  if (options.has_workers) {
    const Result<std::optional<ObjectKey>> pool = own_pool(routes);
    if (!pool) return pool.error();
    if (pool->has_value()) options.routed_pool = **pool;
  }
  if (session->synced()) session->tell_conditions(routes);
  return session;
}

Result<void> RouteSession::watch_files(const RouteFlags& flags) {
  ManifestWatchOptions watch;
  watch.paths = flags.paths;
  watch.default_namespace = flags.name_space;
  auto watched = ManifestWatch::start(
      loop_, own_store_, std::move(watch),
      [](const std::string& problem) { log_warning("routes: not used: " + problem); },
      [](const std::string& path) { log_info("routes: " + path + " is used again"); });
  if (!watched) return Error{"--routes: " + watched.error().message};
  watch_ = std::move(*watched);
  feed_ = std::make_unique<RouteFeed>(
      own_store_, [](const KubeGateway&) { return true; },
      [this](const auto& routes) { on_changed(routes->routes); });
  return {};
}

Result<void> RouteSession::follow_cluster(const RouteFlags& flags, const std::string& kubeconfig) {
  RouteClusterOptions options;
  options.kubeconfig = kubeconfig;
  options.status = {flags.controller_name, flags.addresses};
  Result<std::unique_ptr<RouteCluster>> cluster =
      RouteCluster::open(loop_, std::move(options), [this] { on_synced(); });
  if (!cluster) return Error{"--routes-from-cluster: " + cluster.error().message};
  cluster_ = std::move(*cluster);
  feed_ = std::make_unique<RouteFeed>(
      cluster_->store(), [this](const KubeGateway& gateway) { return cluster_->is_ours(gateway); },
      [this](const auto& routes) { on_changed(routes->routes); });
  return {};
}

// Files are there already; of a cluster nothing is known yet.
Result<void> RouteSession::choose_port(const RouteFlags& flags, GatewayOptions& options) {
  constexpr uint16_t kUsualPort = 80;
  port_ = flags.listener_port != 0 ? flags.listener_port : kUsualPort;
  const bool tls = !options.certificate_folders.empty();
  if (flags.from_cluster && tls) {
    return Error{
        "--tls-cert-path: Secrets of a cluster are not read yet, so no listener of protocol HTTPS "
        "there can be served; leave it or --routes-from-cluster out"};
  }
  if (!flags.from_cluster) {
    const Result<uint16_t> port =
        chosen_port(*feed_->current()->routes.table, tls, flags.listener_port);
    if (!port) return port.error();
    port_ = *port;
  }
  options.listener_port = port_;
  return {};
}

RouteSession::RouteSession(EventLoop& loop, PoolConfigFiles pool_configs)
    : loop_(loop), pool_configs_(std::move(pool_configs)) {}

Result<void> RouteSession::serve(Gateway& gateway, PoolsMetrics& metrics) {
  gateway_ = &gateway;
  pools_ = std::make_unique<RoutePools>(store(), gateway, metrics, pool_configs_,
                                        [this] { return synced(); });
  if (cluster_ != nullptr) {
    on_synced();
    return {};
  }
  const std::vector<Error> problems = pools_->add_named(feed_->current()->routes);
  if (!problems.empty()) return problems.front();
  gateway.set_routes(feed_->current());
  return {};
}

void RouteSession::on_synced() {
  if (feed_ != nullptr && gateway_ != nullptr) on_changed(feed_->current()->routes);
}

std::string RouteSession::text() const {
  if (cluster_ != nullptr) {
    return "routes of port " + std::to_string(port_) + " from " + cluster_->text();
  }
  const size_t routes = feed_->current()->routes.routes.size();
  return std::to_string(routes) + " HTTPRoutes of port " + std::to_string(port_);
}

// Pools listen to the store: they come and go when it has told everybody.
void RouteSession::on_changed(const EffectiveRoutes& routes) {
  if (!synced()) return;
  tell_conditions(routes);
  if (cluster_ != nullptr) cluster_->say(routes);
  if (gateway_ == nullptr || std::exchange(changes_, true)) return;
  loop_.post(lifeline_.guard([this] { use_routes(); }));
}

void RouteSession::use_routes() {
  changes_ = false;
  const std::shared_ptr<const CarriedRoutes> routes = feed_->current();
  for (const Error& problem : pools_->add_named(routes->routes)) {
    log_error("routes: " + problem.message);
  }
  gateway_->set_routes(routes);
  pools_->remove_unnamed(routes->routes);
  const size_t in_use = routes->routes.routes.size();
  // Objects of a cluster change all the time, if only in what is said of them.
  if (std::exchange(told_in_use_, in_use) == in_use && cluster_ != nullptr) return;
  log_info("routes: " + std::to_string(in_use) + " HTTPRoutes are in use");
}

// Each once, as long as it does not hold.
void RouteSession::tell_conditions(const EffectiveRoutes& routes) {
  std::set<std::string> wrong;
  for (const std::string& line : broken_conditions(routes)) wrong.insert(line);
  for (const std::string& line : wrong) {
    if (told_.count(line) == 0) log_warning("routes: " + line);
  }
  told_ = std::move(wrong);
}

}  // namespace kvasir
