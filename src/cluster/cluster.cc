#include "cluster/cluster.h"

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "kube/kube_time.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "wire/kube/kube_types.h"

namespace kvasir {

// What a reflector follows.
struct Followed {
  const KubeType* type = nullptr;
  std::string name_space;
  std::string label_selector;
  bool optional = false;  // who asks can do without it

  // Whoever follows this has all objects of `other`.
  bool covers(const Followed& other) const {
    return type == other.type && name_space == other.name_space &&
           (label_selector.empty() || label_selector == other.label_selector);
  }
};

namespace {

// A pool works without objects of these kinds.
bool is_optional(const KubeType& type) {
  return type.as == KubeKind::kInferenceObjective || type.as == KubeKind::kInferenceModelRewrite ||
         type.as == KubeKind::kNode;
}

// Null: the group has no such kind.
const KubeType* pool_type(const PoolSelection& selection) {
  return find_kube_type(KubeKind::kInferencePool, selection.pool_group);
}

Followed pods_of(const PoolSelection& selection) {
  return {&kube_type(KubeKind::kPod), selection.pool_namespace,
          selection.by_pool() ? "" : selection.selector.to_string()};
}

}  // namespace

class Cluster::State final : private ReflectorProbe {
 public:
  State(Executor& executor, std::unique_ptr<KubeApi> api, ClusterOptions options,
        ClusterProbe& probe)
      : executor_(executor),
        options_(std::move(options)),
        probe_(probe),
        random_(static_cast<uint64_t>(wall_clock_.now().time_since_epoch().count())),
        store_(options_.store),
        api_(std::move(api)),
        events_(executor, *api_, wall_clock_, options_.events,
                [this](const std::string& why) { probe_.on_events_lost(why); }) {}

  void follow(Followed followed) {
    const auto covers = [&](const Watched& watched) { return watched.followed.covers(followed); };
    if (std::any_of(watched_.begin(), watched_.end(), covers)) return;
    ReflectorOptions options = options_.reflector;
    options.name_space = followed.name_space;
    options.label_selector = followed.label_selector;
    ReflectorProbe& told = *this;
    auto reflector = std::make_unique<Reflector>(executor_, *api_, store_, *followed.type,
                                                 std::move(options), random_, told);
    watched_.push_back({std::move(followed), std::move(reflector)});
  }

  bool synced(const Followed& followed) const {
    return std::any_of(watched_.begin(), watched_.end(), [&](const Watched& watched) {
      return watched.followed.covers(followed) && watched.reflector->synced();
    });
  }

  bool all_synced() const {
    return std::all_of(watched_.begin(), watched_.end(), [](const Watched& watched) {
      const bool can_miss = watched.followed.optional || is_optional(*watched.followed.type);
      return watched.reflector->synced() || (can_miss && watched.reflector->absent());
    });
  }

  // What is followed of these kinds is there, or cannot be had.
  bool optional_synced(const std::string& name_space) const {
    return std::all_of(watched_.begin(), watched_.end(), [&](const Watched& watched) {
      const Followed& followed = watched.followed;
      const bool matters = is_optional(*followed.type) &&
                           (followed.name_space.empty() || followed.name_space == name_space);
      return !matters || watched.reflector->synced() || watched.reflector->absent();
    });
  }

  std::vector<KubeFreshness> freshness() const {
    std::vector<KubeFreshness> all;
    for (const Watched& watched : watched_) {
      const KubeType& type = *watched.followed.type;
      KubeFreshness& fresh = all.emplace_back();
      fresh.api_version = type.api_version();
      fresh.kind = type.kind;
      fresh.name_space = watched.followed.name_space;
      fresh.objects = watched.reflector->objects();
      fresh.synced = watched.reflector->synced();
      fresh.absent = watched.reflector->absent();
      fresh.heard_at = watched.reflector->heard_at();
    }
    return all;
  }

  ObjectStore& store() { return store_; }
  KubeApi& api() { return *api_; }
  EventRecorder& events() { return events_; }

 private:
  struct Watched {
    Followed followed;
    std::unique_ptr<Reflector> reflector;
  };

  void on_synced(const KubeType& type, size_t objects) override { probe_.on_synced(type, objects); }
  void on_trouble(const KubeType& type, const KubeStatus& status, const std::string& why) override {
    if (status.code != kHttpNotFound || !can_miss(type)) {
      return probe_.on_trouble(type, status, why);
    }
    if (std::find(told_absent_.begin(), told_absent_.end(), &type) != told_absent_.end()) return;
    told_absent_.push_back(&type);
    probe_.on_kind_absent(type);
  }
  void on_object_refused(const KubeType& type, const ObjectKey& key,
                         const std::string& why) override {
    probe_.on_object_refused(type, key, why);
  }

  bool can_miss(const KubeType& type) const {
    return is_optional(type) ||
           std::any_of(watched_.begin(), watched_.end(), [&](const Watched& watched) {
             return watched.followed.type == &type && watched.followed.optional;
           });
  }

  Executor& executor_;
  const ClusterOptions options_;
  ClusterProbe& probe_;
  const WallClock wall_clock_;
  Random random_;
  ObjectStore store_;
  std::unique_ptr<KubeApi> api_;
  EventRecorder events_;
  std::vector<Watched> watched_;  // uses all of the above
  std::vector<const KubeType*> told_absent_;
};

Result<std::unique_ptr<Cluster>> Cluster::create(EventLoop& loop, Resolver& resolver,
                                                 ClusterOptions options, ClusterProbe& probe) {
  Result<std::unique_ptr<KubeClient>> client =
      KubeClient::create(loop, resolver, options.kube, options.client);
  if (!client) return client.error();
  return std::make_unique<Cluster>(loop, std::move(*client), std::move(options), probe);
}

Cluster::Cluster(Executor& executor, std::unique_ptr<KubeApi> api, ClusterOptions options,
                 ClusterProbe& probe)
    : state_(std::make_unique<State>(executor, std::move(api), std::move(options), probe)) {}

Cluster::~Cluster() = default;

void Cluster::follow_endpoints(const PoolSelection& selection, bool node_labels) {
  state_->follow(pods_of(selection));
  if (node_labels) state_->follow({&kube_type(KubeKind::kNode), "", ""});
  if (!selection.by_pool()) return;
  if (const KubeType* type = pool_type(selection)) {
    state_->follow({type, selection.pool_namespace, ""});
  }
}

void Cluster::follow_pool(const PoolSelection& selection, bool node_labels) {
  follow_endpoints(selection, node_labels);
  if (!selection.by_pool()) return;
  for (const KubeType& type : kube_types()) {
    const bool of_a_pool =
        type.as == KubeKind::kInferenceObjective || type.as == KubeKind::kInferenceModelRewrite;
    if (of_a_pool) state_->follow({&type, selection.pool_namespace, ""});
  }
}

void Cluster::follow_type(const KubeType& type, bool optional) {
  state_->follow({&type, "", "", optional});
}

void Cluster::follow_service(const std::string& name_space, const std::string& service) {
  state_->follow(
      {&kube_type(KubeKind::kEndpointSlice), name_space, "kubernetes.io/service-name=" + service});
}

bool Cluster::synced(const PoolSelection& selection) const {
  if (!state_->synced(pods_of(selection))) return false;
  if (selection.by_pool()) {
    const KubeType* type = pool_type(selection);
    if (type == nullptr || !state_->synced({type, selection.pool_namespace, ""})) return false;
  }
  return state_->optional_synced(selection.pool_namespace);
}

bool Cluster::all_synced() const {
  return state_->all_synced();
}

ObjectStore& Cluster::store() {
  return state_->store();
}

KubeApi& Cluster::api() {
  return state_->api();
}

EventRecorder& Cluster::events() {
  return state_->events();
}

std::vector<KubeFreshness> Cluster::freshness() const {
  return state_->freshness();
}

}  // namespace kvasir
