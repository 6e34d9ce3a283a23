#include "plugins/picker/round_robin_picker.h"

#include <algorithm>
#include <vector>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "model/plugin_place.h"
#include "plugins/picker/turn_picker.h"

namespace kvasir {
namespace {

class RoundRobinPicker final : public Picker {
 public:
  RoundRobinPicker(size_t endpoints, size_t profiles)
      : turn_(endpoints, profiles), turns_(endpoints) {}

  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    const EndpointId endpoint = turn_.bring_forward(
        cycle.profile, scored, [this](EndpointId id) { return turns_[index_of(id)]; });
    const uint64_t level = turns_[index_of(endpoint)];
    drop_saved_turns(cycle.fleet, level);
    for (const EndpointId id : cycle.avoided) {
      turns_[index_of(id)] = std::max(turns_[index_of(id)], level);
    }
    ++turns_[index_of(endpoint)];
    return 1;
  }

 private:
  void drop_saved_turns(const Snapshot& fleet, uint64_t level) {
    for (size_t i = 0; i < fleet.endpoints.size(); ++i) {
      if (!fleet.endpoints[i].available()) turns_[i] = std::max(turns_[i], level);
    }
  }

  TurnPicker turn_;
  std::vector<uint64_t> turns_;
};

MadePlugin make_round_robin_picker(std::string_view name, const Value& value,
                                   PluginContext& context) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<RoundRobinPicker>(context.endpoints(), context.profiles());
}

}  // namespace

PluginType round_robin_picker_plugin() {
  PluginType type{"round-robin-picker", make_round_robin_picker, Stability::kAlpha};
  type.places = kPickerPlace;
  return type;
}

}  // namespace kvasir
