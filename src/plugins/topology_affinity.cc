#include "plugins/topology_affinity.h"

#include <algorithm>
#include <array>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr std::array<double, 5> kScores = {1.0, 0.2, 0.05, 0.02, 0};  // by distance
constexpr size_t kUnrelated = kScores.size() - 1;

// 0: the same host; 1: rack; 2: zone; 3: region; kUnrelated.
size_t distance(const Endpoint& a, const Endpoint& b) {
  static const std::array<std::string, kUnrelated> labels = {
      "kubernetes.io/hostname", "topology.kubernetes.io/rack", "topology.kubernetes.io/zone",
      "topology.kubernetes.io/region"};
  for (size_t level = 0; level < labels.size(); ++level) {
    const std::string* of_a = a.label(labels[level]);
    const std::string* of_b = b.label(labels[level]);
    if (of_a != nullptr && of_b != nullptr && *of_a == *of_b) return level;
  }
  return kUnrelated;
}

// The endpoint that the profile before chose; null: none.
const Endpoint* peer(const Cycle& cycle) {
  if (cycle.done.empty() || cycle.done.back().chosen.empty()) return nullptr;
  return cycle.fleet.endpoints[index_of(cycle.done.back().chosen[0].endpoint)].endpoint.get();
}

class TopologyAffinityScorer final : public Scorer {
 public:
  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const Endpoint* near = peer(cycle);
    if (near == nullptr) return;
    for (size_t i = 0; i < candidates.size(); ++i) {
      scores[i] = kScores[distance(*near, *cycle.fleet.endpoints[index_of(candidates[i])].endpoint)];
    }
  }
};

class TopologyAffinityFilter final : public Filter {
 public:
  explicit TopologyAffinityFilter(size_t distance_max) : distance_max_(distance_max) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const Endpoint* near = peer(cycle);
    if (near == nullptr) return;
    const auto far = [&](EndpointId id) {
      return distance(*near, *cycle.fleet.endpoints[index_of(id)].endpoint) > distance_max_;
    };
    if (!std::all_of(candidates.begin(), candidates.end(), far)) std::erase_if(candidates, far);
  }

 private:
  const size_t distance_max_;
};

MadePlugin make_scorer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.ignore("topologyProducerName");
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  return make_plugin<TopologyAffinityScorer>();
}

MadePlugin make_filter(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.ignore("topologyProducerName");
  const std::string least =
      parameters.choice("minAffinity", "host", {"host", "rack", "zone", "region"});
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  return make_plugin<TopologyAffinityFilter>(least == "host"   ? 0
                                             : least == "rack" ? 1
                                             : least == "zone" ? 2
                                                               : 3);
}

}  // namespace

PluginType topology_affinity_scorer_plugin() {
  return {"topology-affinity-scorer", make_scorer, Stability::kAlpha};
}

PluginType topology_affinity_filter_plugin() {
  return {"topology-affinity-filter", make_filter, Stability::kAlpha};
}

}  // namespace kvasir
