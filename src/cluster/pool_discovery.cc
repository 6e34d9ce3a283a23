#include "cluster/pool_discovery.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <utility>

#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

const std::string kActivePorts = "llm-d.ai/active-ports";
const std::string kActivePortsBefore = "inference.networking.k8s.io/active-ports";

// The ports that a pod's annotation names, as upstream reads them: what a part begins with counts,
// a part that begins with no number does not. nullopt: it names none, and all are active.
std::optional<std::vector<uint16_t>> active_ports(const Pod& pod) {
  const std::string* text = pod.meta.annotation(kActivePorts);
  if (text == nullptr) text = pod.meta.annotation(kActivePortsBefore);
  if (text == nullptr) return std::nullopt;
  std::vector<uint16_t> ports;
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view part = rest.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(" \t\r\n"), part.size()));
    if (part.starts_with('+')) part.remove_prefix(1);
    uint16_t port = 0;
    std::from_chars(part.data(), part.data() + part.size(), port);
    if (port > 0) ports.push_back(port);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return ports;
}

template <class T>
const T* cast(const KubeObjectPtr& object) {
  return static_cast<const T*>(object.get());
}

// Its containers have ended, or are about to and never start again. While an evicted one ends it is
// Ready yet, and not being deleted; its address may be another pod's soon.
bool is_over(const Pod& pod) {
  return pod.phase == "Failed" || pod.phase == "Succeeded";
}

bool is_servable(const Pod& pod) {
  return pod.ready && !is_over(pod) && !pod.meta.deleting && !pod.ip.empty();
}

bool same_annotation(const Pod& a, const Pod& b, const std::string& key) {
  const std::string* in_a = a.meta.annotation(key);
  const std::string* in_b = b.meta.annotation(key);
  return in_a == nullptr ? in_b == nullptr : in_b != nullptr && *in_a == *in_b;
}

// One endpoint for each rank whose port is not 0.
struct PodRanks {
  std::string ip;
  std::array<uint16_t, kTargetPortsMost> ports{};

  bool none() const {
    return std::all_of(ports.begin(), ports.end(), [](uint16_t port) { return port == 0; });
  }
};

class PoolDiscovery final : public Discovery, ObjectStoreListener {
 public:
  PoolDiscovery(Executor& executor, ObjectStore& store, PoolDiscoveryOptions options,
                std::function<bool()> ready, DiscoveryListener& listener)
      : executor_(executor),
        store_(store),
        options_(std::move(options)),
        ready_(std::move(ready)),
        listener_(listener) {
    if (!options_.selection.by_pool()) {
      selector_ = options_.selection.selector;
      ports_ = options_.selection.target_ports;
    }
    store_.add_listener(*this);
    look();
  }
  ~PoolDiscovery() override {
    executor_.cancel(timer_);
    store_.remove_listener(*this);
  }

  bool settled() const override { return given_; }

 private:
  const std::string& name_space() const { return options_.selection.pool_namespace; }

  void on_change(const ObjectChange& change) override {
    switch (change.kind) {
      case KubeKind::kPod:
        if (change.object().meta.name_space == name_space()) {
          note_pod(cast<Pod>(change.before), cast<Pod>(change.after));
        }
        return;
      case KubeKind::kNode:
        if (node_labels_differ(change)) all_changed_ = all_relabelled_ = true;
        return;
      case KubeKind::kInferencePool:
        if (is_ours(change.object())) pool_changed_ = true;
        return;
      default:
        return;
    }
  }

  void on_batch_end() override {
    if (!given_) executor_.cancel(std::exchange(timer_, kNoTimer));
    if (!given_ || pool_changed_ || all_changed_ || !changed_.empty()) look_when_due();
  }

  bool is_ours(const KubeObject& object) const {
    const PoolSelection& selection = options_.selection;
    return selection.by_pool() && object.type->group == selection.pool_group &&
           object.meta.name == selection.pool_name && object.meta.name_space == name_space();
  }

  bool serves_here(const Pod& pod) const {
    return is_servable(pod) && !selector_.empty() && selector_.matches(pod.meta.labels);
  }

  // Either may be null, not both. Most changes are of what no endpoint shows, or of other pools.
  void note_pod(const Pod* before, const Pod* after) {
    if (!given_) return;  // the first list is made of all there are
    const bool was = before != nullptr && serves_here(*before);
    const bool is = after != nullptr && serves_here(*after);
    if (!was && !is) return;
    bool relabelled = true;
    if (before != nullptr && after != nullptr) {
      const bool same_node = options_.node_labels.empty() || before->node_name == after->node_name;
      relabelled = !same_node || before->meta.labels != after->meta.labels;
      const bool same_place = was == is && before->ip == after->ip &&
                              same_annotation(*before, *after, kActivePorts) &&
                              same_annotation(*before, *after, kActivePortsBefore);
      if (same_place && !relabelled) return;
    }
    changed_[(after != nullptr ? after : before)->meta.name] |= relabelled;
  }

  bool node_labels_differ(const ObjectChange& change) const {
    const auto label = [](const KubeObjectPtr& node, const std::string& key) {
      const std::string* value = node != nullptr ? node->meta.label(key) : nullptr;
      return value != nullptr ? *value : std::string();
    };
    return std::any_of(options_.node_labels.begin(), options_.node_labels.end(),
                       [&](const std::string& key) {
                         return label(change.before, key) != label(change.after, key);
                       });
  }

  void look_when_due() {
    if (timer_ != kNoTimer) return;
    const Duration wait = looked_at_ + options_.batch_interval - executor_.now();
    if (wait <= Duration::zero()) return look();
    look_after(wait);
  }

  void look_after(Duration wait) {
    timer_ = executor_.after(wait, [this] {
      timer_ = kNoTimer;
      look();
    });
  }

  void look() {
    looked_at_ = executor_.now();
    if (!given_ && !ready_()) return look_after(options_.ready_interval);
    if (!know_pool()) return;
    EndpointChanges changes;
    if (!given_ || all_changed_) {
      collect_all(changes);
    } else {
      for (const auto& [name, relabelled] : changed_) {
        collect(name, store_.get<Pod>(name_space(), name).get(), relabelled, changes);
      }
    }
    changed_.clear();
    all_changed_ = all_relabelled_ = false;
    if (!given_) {
      listener_.on_endpoints(std::move(changes.put));
      given_ = true;
    } else if (!changes.empty()) {
      listener_.on_endpoint_changes(std::move(changes));
    }
  }

  // Reads selector and ports of the InferencePool. False: there is none.
  bool know_pool() {
    const PoolSelection& selection = options_.selection;
    if (!selection.by_pool() || (given_ && !pool_changed_ && !missing_)) return true;
    pool_changed_ = false;
    auto pool = store_.get<InferencePool>(name_space(), selection.pool_name);
    if (pool != nullptr && pool->type->group != selection.pool_group) pool = nullptr;
    if (pool == nullptr || pool->meta.deleting) {
      if (!std::exchange(missing_, true)) {
        listener_.on_discovery_failed(selection.to_string(),
                                      pool == nullptr
                                          ? "there is no such object of " + selection.pool_group
                                          : "it is being deleted");
      }
      return false;
    }
    missing_ = false;
    LabelSelector selector(pool->selector, pool->requirements);
    if (selector == selector_ && pool->target_ports == ports_) return true;
    selector_ = std::move(selector);
    ports_ = pool->target_ports;
    all_changed_ = true;
    return true;
  }

  void collect_all(EndpointChanges& changes) {
    std::vector<std::string> gone;
    for (const auto& [name, ranks] : told_) {
      if (store_.get<Pod>(name_space(), name) == nullptr) gone.push_back(name);
    }
    for (const std::string& name : gone) collect(name, nullptr, false, changes);
    store_.for_each<Pod>(name_space(), [&](const Pod& pod) {
      const auto changed = changed_.find(pod.meta.name);
      const bool relabelled = all_relabelled_ || (changed != changed_.end() && changed->second);
      collect(pod.meta.name, &pod, relabelled, changes);
    });
  }

  // What became of one pod's endpoints; null: it is gone.
  void collect(const std::string& name, const Pod* pod, bool relabelled, EndpointChanges& changes) {
    const PodRanks now = pod != nullptr ? ranks_of(*pod) : PodRanks{};
    const auto told = told_.find(name);
    const PodRanks before = told != told_.end() ? told->second : PodRanks{};
    for (size_t rank = 0; rank < now.ports.size(); ++rank) {
      if (now.ports[rank] != 0) {
        const bool same = now.ports[rank] == before.ports[rank] && now.ip == before.ip;
        if (!same || relabelled) changes.put.push_back(endpoint_of(*pod, now, rank));
      } else if (before.ports[rank] != 0) {
        changes.removed.push_back(endpoint_name(name, rank));
      }
    }
    if (!now.none()) {
      told_.insert_or_assign(name, now);
    } else if (told != told_.end()) {
      told_.erase(told);
    }
  }

  PodRanks ranks_of(const Pod& pod) const {
    PodRanks ranks;
    if (!serves_here(pod)) return ranks;
    const auto active = active_ports(pod);
    ranks.ip = pod.ip;
    for (size_t rank = 0; rank < std::min(ports_.size(), ranks.ports.size()); ++rank) {
      const uint16_t port = ports_[rank];
      const bool is_active =
          !active || std::find(active->begin(), active->end(), port) != active->end();
      if (is_active) ranks.ports[rank] = port;
    }
    return ranks;
  }

  std::string endpoint_name(const std::string& pod, size_t rank) const {
    return name_space() + "/" + pod + "-rank-" + std::to_string(rank);
  }

  Endpoint endpoint_of(const Pod& pod, const PodRanks& ranks, size_t rank) const {
    Endpoint endpoint{endpoint_name(pod.meta.name, rank), ranks.ip, ranks.ports[rank],
                      pod.meta.labels};
    if (options_.node_labels.empty()) return endpoint;
    const auto node = store_.get<Node>("", pod.node_name);
    if (node == nullptr) return endpoint;
    for (const std::string& key : options_.node_labels) {
      if (const std::string* value = node->meta.label(key)) endpoint.labels.emplace(key, *value);
    }
    return endpoint;
  }

  Executor& executor_;
  ObjectStore& store_;
  const PoolDiscoveryOptions options_;
  const std::function<bool()> ready_;
  DiscoveryListener& listener_;
  LabelSelector selector_;
  std::vector<uint16_t> ports_;
  std::map<std::string, PodRanks> told_;  // by pod
  std::map<std::string, bool> changed_;   // pods since the last look; whether labels changed, too
  bool all_changed_ = false;              // any of them may have
  bool all_relabelled_ = false;
  bool pool_changed_ = false;
  bool missing_ = false;  // the InferencePool is, and that was told
  std::atomic<bool> given_{false};  // the first list was; readiness checks ask on any thread
  TimePoint looked_at_{};
  TimerId timer_ = kNoTimer;
};

}  // namespace

std::vector<std::string> topology_labels() {
  return {"kubernetes.io/hostname", "topology.kubernetes.io/rack", "topology.kubernetes.io/zone",
          "topology.kubernetes.io/region"};
}

std::unique_ptr<Discovery> discover_pool(Executor& executor, ObjectStore& store,
                                         PoolDiscoveryOptions options, std::function<bool()> ready,
                                         DiscoveryListener& listener) {
  return std::make_unique<PoolDiscovery>(executor, store, std::move(options), std::move(ready),
                                         listener);
}

}  // namespace kvasir
