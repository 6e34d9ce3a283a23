#include "plugins/picker/least_load_picker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/parameters.h"
#include "model/plugin_place.h"
#include "plugins/picker/turn_picker.h"
#include "plugins/producer/booking_map.h"

namespace kvasir {
namespace {

class LeastLoadPicker final : public Picker {
 public:
  LeastLoadPicker(size_t endpoints, size_t profiles)
      : turn_(endpoints, profiles), in_flight_(endpoints) {}

  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    turn_.bring_forward(cycle.profile, scored,
                        [this](EndpointId id) { return in_flight_[index_of(id)]; });
    return 1;
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const EndpointId endpoint = profiles[0].chosen[0].endpoint;
    ++in_flight_[index_of(endpoint)];
    bookings_.insert(cycle.request.id, endpoint);
  }
  bool watches_answers() const override { return true; }
  void ended(RequestId request, TimePoint) override {
    const EndpointId* endpoint = bookings_.find(request);
    if (endpoint == nullptr) return;
    --in_flight_[index_of(*endpoint)];
    bookings_.erase(request);
  }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<LeastLoadPicker*>(&predecessor);
    if (old == nullptr || old->in_flight_.size() != in_flight_.size()) return false;
    in_flight_ = old->in_flight_;
    bookings_ = std::move(old->bookings_);
    return true;
  }

 private:
  TurnPicker turn_;
  std::vector<uint32_t> in_flight_;
  BookingMap<EndpointId> bookings_;
};

MadePlugin make_least_load_picker(std::string_view name, const Value& value,
                                  PluginContext& context) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<LeastLoadPicker>(context.endpoints(), context.profiles());
}

}  // namespace

PluginType least_load_picker_plugin() {
  PluginType type{"least-load-picker", make_least_load_picker, Stability::kAlpha};
  type.places = kPickerPlace;
  return type;
}

}  // namespace kvasir
