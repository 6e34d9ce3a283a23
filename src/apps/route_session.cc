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
  command.add_option("--listener-port", flags.listener_port,
                     "With --routes: the port that the listeners have whose routes are served at\n"
                     "--port (default: that of the only HTTP listeners)");
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
                                                         GatewayOptions& options) {
  if (flags.paths.empty()) {
    if (flags.listener_port != 0) return Error{"--listener-port needs --routes"};
    if (!flags.pool_configs.empty()) return Error{"--pool-config needs --routes"};
    return std::unique_ptr<RouteSession>();
  }
  Result<PoolConfigFiles> pool_configs = read_pool_configs(flags.pool_configs);
  if (!pool_configs) return pool_configs.error();
  std::unique_ptr<RouteSession> session(new RouteSession(loop, std::move(*pool_configs)));
  ManifestWatchOptions watch;
  watch.paths = flags.paths;
  watch.default_namespace = flags.name_space;
  auto watched = ManifestWatch::start(
      loop, session->store_, std::move(watch),
      [](const std::string& problem) { log_warning("routes: not used: " + problem); },
      [](const std::string& path) { log_info("routes: " + path + " is used again"); });
  if (!watched) return Error{"--routes: " + watched.error().message};
  session->watch_ = std::move(*watched);
  session->feed_ = std::make_unique<RouteFeed>(
      session->store_, [](const KubeGateway&) { return true; },
      [&session = *session](const auto& routes) { session.on_changed(routes->routes); });
  const EffectiveRoutes& routes = session->feed_->current()->routes;
  const Result<uint16_t> port =
      chosen_port(*routes.table, !options.certificate_folders.empty(), flags.listener_port);
  if (!port) return port.error();
  session->port_ = options.listener_port = *port;
  if (options.has_workers) {
    const Result<std::optional<ObjectKey>> pool = own_pool(routes);
    if (!pool) return pool.error();
    if (pool->has_value()) options.routed_pool = **pool;
  }
  session->tell_conditions(routes);
  return session;
}

RouteSession::RouteSession(EventLoop& loop, PoolConfigFiles pool_configs)
    : loop_(loop), pool_configs_(std::move(pool_configs)) {}

Result<void> RouteSession::serve(Gateway& gateway, PoolsMetrics& metrics) {
  gateway_ = &gateway;
  pools_ =
      std::make_unique<RoutePools>(store_, gateway, metrics, pool_configs_, [] { return true; });
  const std::vector<Error> problems = pools_->add_named(feed_->current()->routes);
  if (!problems.empty()) return problems.front();
  gateway.set_routes(feed_->current());
  return {};
}

std::string RouteSession::text() const {
  const size_t routes = feed_->current()->routes.routes.size();
  return std::to_string(routes) + " HTTPRoutes of port " + std::to_string(port_);
}

// Pools listen to the store: they come and go when it has told everybody.
void RouteSession::on_changed(const EffectiveRoutes& routes) {
  tell_conditions(routes);
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
  log_info("routes: " + std::to_string(routes->routes.routes.size()) + " HTTPRoutes are in use");
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
