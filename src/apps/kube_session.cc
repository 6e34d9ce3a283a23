#include "apps/kube_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <utility>

#include "base/text.h"
#include "cluster/pool_discovery.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// As a pod, the host's name is the pod's.
std::string pod_name() {
  if (const std::string name = variable("POD_NAME"); !name.empty()) return name;
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "kvasir";
}

// Of pods DEPLOYMENT-HASH-RANDOM; other names are taken as they are.
std::string deployment_of(const std::string& pod) {
  const size_t last = pod.rfind('-');
  if (last == std::string::npos || last == 0) return pod;
  const size_t hash = pod.rfind('-', last - 1);
  return hash == std::string::npos || hash == 0 ? pod : pod.substr(0, hash);
}

uint64_t random_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

RbacOptions rbac_of(const KubeChoice& choice, const KubeSessionOptions& options,
                    const std::string& own_namespace) {
  RbacOptions rbac;
  rbac.account_namespace = own_namespace;
  rbac.pool_name = choice.selection.pool_name;
  rbac.pool_namespace = choice.selection.pool_namespace;
  rbac.pool_group = choice.selection.pool_group;
  rbac.selector = !choice.selection.by_pool();
  rbac.leader_election = choice.leader_election;
  rbac.peers_service = choice.peers_service;
  rbac.node_labels = options.node_labels;
  rbac.endpoints_only = options.endpoints_only;
  rbac.metrics_auth = choice.metrics_auth;
  return rbac;
}

}  // namespace

Result<std::unique_ptr<KubeSession>> KubeSession::open(EventLoop& loop, KubeChoice choice,
                                                       KubeSessionOptions options) {
  std::string& pool_namespace = choice.selection.pool_namespace;
  if (!choice.manifests.empty()) {
    if (pool_namespace.empty()) pool_namespace = "default";
    std::string own = variable("NAMESPACE");
    if (own.empty()) own = pool_namespace;
    std::unique_ptr<KubeSession> session(
        new KubeSession(loop, std::move(choice), std::move(options), std::move(own), "files"));
    if (Result<void> read = session->read_manifests(); !read) return read.error();
    return session;
  }
  Result<KubeConfig> config = find_kube_config(choice.kubeconfig);
  if (!config) return config.error();
  std::string own = variable("NAMESPACE");
  if (own.empty()) own = config->name_space;
  if (pool_namespace.empty()) pool_namespace = own;
  std::unique_ptr<KubeSession> session(
      new KubeSession(loop, std::move(choice), std::move(options), std::move(own), config->source));
  if (Result<void> reached = session->reach(std::move(*config)); !reached) return reached.error();
  return session;
}

KubeSession::KubeSession(EventLoop& loop, KubeChoice choice, KubeSessionOptions options,
                         std::string own_namespace, std::string source)
    : loop_(loop),
      choice_(std::move(choice)),
      options_(std::move(options)),
      own_namespace_(std::move(own_namespace)),
      source_(std::move(source)),
      pod_name_(pod_name()),
      pool_name_(choice_.selection.by_pool() ? choice_.selection.pool_name
                                             : deployment_of(pod_name_)),
      reports_(rbac_of(choice_, options_, own_namespace_), loop.clock()),
      random_(random_seed()) {}

KubeSession::~KubeSession() {
  loop_.cancel(look_timer_);
}

Result<void> KubeSession::read_manifests() {
  ManifestWatchOptions options;
  options.paths = choice_.manifests;
  options.default_namespace = choice_.selection.pool_namespace;
  Result<std::unique_ptr<ManifestWatch>> started = ManifestWatch::start(
      loop_, own_store_, std::move(options),
      [this](const std::string& problem) { reports_.on_manifests_refused(problem); },
      [this](const std::string& path) { reports_.on_manifests_read_again(path); });
  if (!started) return Error{"--kube-manifests: " + started.error().message};
  manifests_ = std::move(*started);
  return {};
}

Result<void> KubeSession::reach(KubeConfig config) {
  ClusterOptions options;
  options.kube = std::move(config);
  options.events.instance = pod_name_;
  options.events.controller = "kvasir.dev/" + options_.program;
  Result<std::unique_ptr<Cluster>> cluster =
      Cluster::create(loop_, resolver_, std::move(options), reports_);
  if (!cluster) return cluster.error();
  cluster_ = std::move(*cluster);
  if (options_.endpoints_only) {
    cluster_->follow_endpoints(choice_.selection, options_.node_labels);
    return {};
  }
  cluster_->follow_pool(choice_.selection, options_.node_labels);
  reports_.set_events(&cluster_->events());
  find_own_pod();
  if (choice_.leader_election) elect();
  if (choice_.metrics_auth) access_ = std::make_unique<MetricsAccess>(loop_, cluster_->api());
  return {};
}

// The names are upstream's, so that a lease says the same whichever picker holds it.
void KubeSession::elect() {
  LeaderElectionOptions options;
  options.name_space = choice_.selection.pool_namespace;
  options.lease_name = lease_name(choice_.selection.pool_namespace, pool_name_);
  options.identity = fmt::format("{}_{:016x}", pod_name_, random_.next());
  election_ = std::make_unique<LeaderElection>(loop_, cluster_->api(), wall_clock_,
                                               std::move(options), random_, reports_);
}

// Events about a pod are shown by `kubectl describe` only with its uid. By a list, so that it takes
// no verb more than the pool's pods do.
void KubeSession::find_own_pod() {
  own_pod_uid_ = variable("POD_UID");
  if (!own_pod_uid_.empty() || variable("POD_NAME").empty()) return;
  const KubeType& type = kube_type(KubeKind::kPod);
  own_pod_call_ = cluster_->api().start(
      {"GET", type.path(own_namespace_) +
                  "?fieldSelector=" + percent_encoded("metadata.name=" + pod_name_)},
      [this, &type](const KubeAnswer& answer) {
        if (!answer.ok()) return;
        KubeReader reader;
        const Result<KubeListPage> page = reader.read_list(answer.body, type);
        if (page && !page->objects.empty()) own_pod_uid_ = page->objects.front()->meta.uid;
      });
}

void KubeSession::feed(FleetFeedsOptions& feeds) {
  feeds.discover = [this](Executor& executor, DiscoveryListener& listener) {
    PoolDiscoveryOptions options;
    options.selection = choice_.selection;
    if (options_.node_labels) options.node_labels = topology_labels();
    return discover_pool(
        executor, store(), std::move(options), [this] { return synced(); }, listener);
  };
}

void KubeSession::serve(Pool& pool) {
  pool_ = &pool;
  objects_ = std::make_unique<PoolObjects>(
      store(), choice_.selection,
      PoolObjects::Listener{[&pool](std::shared_ptr<const PoolObjects::Priorities> priorities) {
                              pool.set_objectives(std::move(priorities));
                            },
                            [&pool](std::shared_ptr<const ModelRewriteTable> rewrites) {
                              pool.set_rewrites(std::move(rewrites));
                            }});
  look();
}

void KubeSession::follow_peers(
    std::function<void(const std::vector<std::string>& addresses)> told) {
  if (cluster_ != nullptr) cluster_->follow_service(own_namespace_, choice_.peers_service);
  peers_ = std::make_unique<ServiceAddresses>(store(), own_namespace_, choice_.peers_service, told);
  told(peers_->addresses());
}

void KubeSession::release(std::function<void()> done) {
  if (election_ == nullptr) return loop_.post(std::move(done));
  const auto once = std::make_shared<std::function<void()>>(std::move(done));
  const auto finish = [once] {
    if (*once) std::exchange(*once, nullptr)();
  };
  loop_.after(options_.release_patience, lifeline_.guard(finish));
  election_->release(finish);
}

void KubeSession::tell_start_refused(std::string_view error) {
  if (cluster_ == nullptr) return;
  const auto stop = [this] { loop_.stop(); };
  loop_.after(options_.last_words, stop);
  loop_.run();
  reports_.set_about(about());
  reports_.on_start_refused(error);
  loop_.after(options_.last_words, stop);
  loop_.run();
}

std::string KubeSession::text() const {
  return choice_.selection.to_string() + " (" + source_ + ")";
}

void KubeSession::look() {
  if (cluster_ != nullptr) reports_.note(cluster_->freshness());
  tell_pool_state();
  look_timer_ = loop_.after(options_.look_interval, [this] { look(); });
}

KubeSession::PoolState KubeSession::pool_state() {
  if (!synced()) return PoolState::kUnknown;
  const PoolSelection& selection = choice_.selection;
  if (selection.by_pool() &&
      store().get<InferencePool>(selection.pool_namespace, selection.pool_name) == nullptr) {
    return PoolState::kMissing;
  }
  for (const EndpointState& state : pool_->snapshot()->endpoints) {
    if (state.present) return PoolState::kServing;
  }
  return PoolState::kEmpty;
}

void KubeSession::tell_pool_state() {
  reports_.set_about(about());
  const PoolState state = pool_state();
  const TimePoint now = loop_.clock().now();
  if (state != std::exchange(state_, state)) state_since_ = now;
  const bool good = state == PoolState::kServing;
  if (state == told_state_ || state == PoolState::kUnknown) return;
  if (!good && now - state_since_ < options_.trouble_after) return;
  const bool mended = good && told_state_ != PoolState::kUnknown;
  told_state_ = state;
  const std::string what = choice_.selection.to_string();
  if (state == PoolState::kMissing) return reports_.on_pool_missing(what);
  if (state == PoolState::kEmpty) return reports_.on_pool_selects_nothing(what);
  if (mended) reports_.on_pool_serves(what);
}

std::optional<ObjectReference> KubeSession::about() {
  const PoolSelection& selection = choice_.selection;
  if (selection.by_pool()) {
    const auto pool = store().get<InferencePool>(selection.pool_namespace, selection.pool_name);
    if (pool != nullptr) {
      return ObjectReference{pool->type->api_version(), std::string(pool->type->kind),
                             pool->meta.key(), pool->meta.uid};
    }
  }
  if (variable("POD_NAME").empty()) return std::nullopt;
  return ObjectReference{"v1", "Pod", {own_namespace_, pod_name_}, own_pod_uid_};
}

}  // namespace kvasir
