// zone-preference-scorer: prefers endpoints of one zone. A plugin from outside Kvasir's tree.
//
// Formula: 1 when the endpoint's label equals the zone, else 0.
// Inputs: the endpoint's labels.
// Parameters: zone (required), label (topology.kubernetes.io/zone).
//
//   - type: zone-preference-scorer
//     parameters: {zone: north}
#include <string>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "scheduling/plugin_library.h"

namespace {

class ZonePreferenceScorer final : public kvasir::Scorer {
 public:
  ZonePreferenceScorer(std::string label, std::string zone)
      : label_(std::move(label)), zone_(std::move(zone)) {}

  void score(const kvasir::Cycle& cycle, std::span<const kvasir::EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const auto& endpoint = *cycle.fleet.endpoints[kvasir::index_of(candidates[i])].endpoint;
      const std::string* zone = endpoint.label(label_);
      scores[i] = zone != nullptr && *zone == zone_ ? 1 : 0;
    }
  }

 private:
  const std::string label_;
  const std::string zone_;
};

kvasir::MadePlugin make(std::string_view name, const kvasir::Value& value, kvasir::PluginContext&) {
  kvasir::Parameters parameters(value, name);
  const std::string label = parameters.text("label", "topology.kubernetes.io/zone");
  const std::string zone = parameters.text("zone", "");
  if (zone.empty()) parameters.fail("zone", "is missing");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return kvasir::make_plugin<ZonePreferenceScorer>(label, zone);
}

void add_types(kvasir::PluginEntry& entry) {
  kvasir::PluginType type{"zone-preference-scorer", make};
  type.places = kvasir::kScorerPlace;
  entry.add(std::move(type));
}

}  // namespace

KVASIR_PLUGIN_LIBRARY(add_types)
