#include "plugins/scorer/topology_affinity.h"

#include <algorithm>
#include <array>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr std::array<double, 5> kScores = {1.0, 0.2, 0.05, 0.02, 0};  // by distance
constexpr size_t kUnrelated = kScores.size() - 1;

constexpr std::array<const char*, TopologyLabels::kLevels> kKeys = {"hostname", "rack", "zone",
                                                                   "region"};
constexpr std::array<const char*, TopologyLabels::kLevels> kLabels = {
    "kubernetes.io/hostname", "topology.kubernetes.io/rack", "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region"};
static_assert(kUnrelated == TopologyLabels::kLevels);

class TopologyExtractor final : public TopologyLabels {
 public:
  explicit TopologyExtractor(std::array<std::string, kLevels> labels)
      : labels_(std::move(labels)) {}
  const std::string& label(size_t level) const override { return labels_[level]; }

 private:
  const std::array<std::string, kLevels> labels_;
};

// 0: the same host; 1: rack; 2: zone; 3: region; kUnrelated.
size_t distance(const TopologyLabels& labels, const Endpoint& a, const Endpoint& b) {
  for (size_t level = 0; level < TopologyLabels::kLevels; ++level) {
    const std::string* of_a = a.label(labels.label(level));
    const std::string* of_b = b.label(labels.label(level));
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
  explicit TopologyAffinityScorer(const TopologyLabels& labels) : labels_(labels) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const Endpoint* near = peer(cycle);
    if (near == nullptr) return;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Endpoint& candidate = *cycle.fleet.endpoints[index_of(candidates[i])].endpoint;
      scores[i] = kScores[distance(labels_, *near, candidate)];
    }
  }

 private:
  const TopologyLabels& labels_;
};

class TopologyAffinityFilter final : public Filter {
 public:
  TopologyAffinityFilter(const TopologyLabels& labels, size_t distance_max)
      : labels_(labels), distance_max_(distance_max) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const Endpoint* near = peer(cycle);
    if (near == nullptr) return;
    const auto far = [&](EndpointId id) {
      return distance(labels_, *near, *cycle.fleet.endpoints[index_of(id)].endpoint) > distance_max_;
    };
    if (!std::all_of(candidates.begin(), candidates.end(), far)) std::erase_if(candidates, far);
  }

 private:
  const TopologyLabels& labels_;
  const size_t distance_max_;
};

MadePlugin make_scorer(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  const std::string producer = parameters.text("topologyProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<TopologyLabels*> labels = context.find<TopologyLabels>(producer);
  if (!labels) return labels.error();
  return make_plugin<TopologyAffinityScorer>(**labels);
}

MadePlugin make_filter(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  const std::string producer = parameters.text("topologyProducerName", "");
  const std::string least =
      parameters.choice("minAffinity", "host", {"host", "rack", "zone", "region"});
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<TopologyLabels*> labels = context.find<TopologyLabels>(producer);
  if (!labels) return labels.error();
  return make_plugin<TopologyAffinityFilter>(**labels, least == "host"   ? 0
                                                       : least == "rack" ? 1
                                                       : least == "zone" ? 2
                                                                         : 3);
}

MadePlugin make_extractor(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  std::array<std::string, TopologyLabels::kLevels> labels;
  for (size_t level = 0; level < labels.size(); ++level) {
    labels[level] = parameters.text(kKeys[level], "");
    if (labels[level].empty()) labels[level] = kLabels[level];
  }
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<TopologyExtractor>(std::move(labels));
}

}  // namespace

PluginType topology_affinity_scorer_plugin() {
  return {"topology-affinity-scorer", make_scorer, Stability::kAlpha};
}

PluginType topology_affinity_filter_plugin() {
  return {"topology-affinity-filter", make_filter, Stability::kAlpha};
}

PluginType topology_extractor_plugin() {
  return {"topology-extractor", make_extractor, Stability::kAlpha, {}, {TopologyLabels::kKind}};
}

}  // namespace kvasir
