#include "plugins/presets/least_load_policy.h"

#include <vector>

#include "base/assert.h"
#include "plugins/producer/booking_map.h"
#include "plugins/rotation.h"

namespace kvasir {
namespace {

class LeastLoadPolicy final : public Policy {
 public:
  explicit LeastLoadPolicy(size_t endpoints) : in_flight_(endpoints) {}

  std::optional<Decision> pick(const PickContext& context) override {
    Decision decision;
    decision.endpoint = rotation_.cheapest(
        context.candidates, [this](EndpointId id) { return in_flight_[index_of(id)]; });
    ++in_flight_[index_of(decision.endpoint)];
    bookings_.insert(context.request.id, decision.endpoint);
    return decision;
  }

  void first_token(RequestId, TimePoint) override {}

  void ended(RequestId request, TimePoint) override {
    const EndpointId* endpoint = bookings_.find(request);
    KVASIR_ASSERT(endpoint != nullptr, "only a request that was picked for ends");
    --in_flight_[index_of(*endpoint)];
    bookings_.erase(request);
  }

 private:
  std::vector<uint32_t> in_flight_;
  BookingMap<EndpointId> bookings_;
  Rotation rotation_;
};

}  // namespace

std::unique_ptr<Policy> make_least_load_policy(size_t endpoints) {
  return std::make_unique<LeastLoadPolicy>(endpoints);
}

}  // namespace kvasir
