#include "apps/route_cluster.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <utility>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

std::string text_of_variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// As a pod, the host's name is the pod's.
std::string process_identity() {
  char host[256] = {};
  std::string name = text_of_variable("POD_NAME");
  if (name.empty()) name = gethostname(host, sizeof host - 1) == 0 ? host : "kvasir";
  std::random_device device;
  return fmt::format("{}_{:08x}{:08x}", name, device(), device());
}

RbacOptions rbac_of_routes(const std::string& own_namespace) {
  RbacOptions rbac;
  rbac.account = "kvasir-gateway";
  rbac.account_namespace = own_namespace;
  rbac.routes = true;
  return rbac;
}

}  // namespace

Result<std::unique_ptr<RouteCluster>> RouteCluster::open(EventLoop& loop,
                                                         RouteClusterOptions options,
                                                         std::function<void()> synced) {
  Result<KubeConfig> config = find_kube_config(options.kubeconfig);
  if (!config) return config.error();
  std::string own = text_of_variable("NAMESPACE");
  if (own.empty()) own = config->name_space;
  std::unique_ptr<RouteCluster> cluster(
      new RouteCluster(loop, std::move(options), std::move(synced), std::move(own)));
  if (Result<void> reached = cluster->reach(std::move(*config)); !reached) return reached.error();
  return cluster;
}

RouteCluster::RouteCluster(EventLoop& loop, RouteClusterOptions options,
                           std::function<void()> synced, std::string own_namespace)
    : loop_(loop),
      options_(std::move(options)),
      told_synced_(std::move(synced)),
      own_namespace_(std::move(own_namespace)),
      identity_(process_identity()),
      rbac_(rbac_of_routes(own_namespace_)),
      reports_(rbac_, loop.clock()),
      random_(std::random_device()()) {}

RouteCluster::~RouteCluster() {
  loop_.cancel(look_timer_);
}

Result<void> RouteCluster::reach(KubeConfig config) {
  text_ = "the cluster of " + config.source;
  ClusterOptions options;
  options.kube = std::move(config);
  Result<std::unique_ptr<Cluster>> cluster =
      Cluster::create(loop_, resolver_, std::move(options), reports_);
  if (!cluster) return cluster.error();
  cluster_ = std::move(*cluster);
  for (const FollowedKind& kind : route_kinds()) {
    cluster_->follow_type(*kind.type, kind.optional);
  }
  StatusWriterOptions writing;
  writing.controller_name = options_.status.controller_name;
  writer_ = std::make_unique<StatusWriter>(
      loop_, cluster_->api(), store(), wall_clock_, std::move(writing), random_,
      [this](const KubeType& type, const ObjectKey& key, const KubeStatus& status,
             const std::string& why) { tell_trouble(type, key, status, why); });
  elect();
  look();
  return {};
}

// Every replica serves; one of them writes.
void RouteCluster::elect() {
  LeaderElectionOptions options;
  options.name_space = own_namespace_;
  options.lease_name = kRoutesLease;
  options.identity = identity_;
  LeaderProbe& probe = *this;
  election_ = std::make_unique<LeaderElection>(loop_, cluster_->api(), wall_clock_,
                                               std::move(options), random_, probe);
}

void RouteCluster::look() {
  reports_.note(cluster_->freshness());
  if (!synced_ && cluster_->all_synced()) {
    synced_ = true;
    told_synced_();
  }
  look_timer_ = loop_.after(options_.look_interval, [this] { look(); });
}

bool RouteCluster::is_ours(const KubeGateway& gateway) const {
  const auto found = cluster_->store().get<GatewayClass>("", gateway.class_name);
  return found != nullptr && found->controller == options_.status.controller_name;
}

void RouteCluster::say(const EffectiveRoutes& routes) {
  writer_->set_statuses(object_statuses(routes, store(), options_.status));
}

void RouteCluster::tell_trouble(const KubeType& type, const ObjectKey& key,
                                const KubeStatus& status, const std::string& why) {
  if (status.code == kHttpForbidden) {
    return log_repeated(LogLevel::kWarning, "conditions that may not be written",
                        forbidden_line(type, status, rbac_));
  }
  log_repeated(
      LogLevel::kWarning, "conditions that cannot be written",
      fmt::format("routes: the conditions of {} {} cannot be written, it is tried again: {}",
                  type.kind, to_string(key), why));
}

void RouteCluster::on_leading(bool leads) {
  log_info(leads ? "routes: this replica writes conditions"
                 : "routes: another replica writes conditions");
  writer_->set_leading(leads);
}

}  // namespace kvasir
