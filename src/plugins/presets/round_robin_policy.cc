#include "plugins/presets/round_robin_policy.h"

#include <algorithm>
#include <vector>

#include "fleet/fleet.h"
#include "plugins/rotation.h"

namespace kvasir {
namespace {

class RoundRobinPolicy final : public Policy {
 public:
  explicit RoundRobinPolicy(size_t endpoints) : turns_(endpoints) {}

  std::optional<Decision> pick(const PickContext& context) override {
    const EndpointId endpoint = rotation_.cheapest(
        context.candidates, [this](EndpointId id) { return turns_[index_of(id)]; });
    drop_saved_turns(context.fleet, turns_[index_of(endpoint)]);
    for (const EndpointId id : context.avoided) {
      turns_[index_of(id)] = std::max(turns_[index_of(id)], turns_[index_of(endpoint)]);
    }
    ++turns_[index_of(endpoint)];
    Decision decision;
    decision.endpoint = endpoint;
    return decision;
  }

  void first_token(RequestId, TimePoint) override {}
  void ended(RequestId, TimePoint) override {}

 private:
  void drop_saved_turns(const Snapshot& fleet, uint64_t level) {
    for (size_t i = 0; i < fleet.endpoints.size(); ++i) {
      if (!fleet.endpoints[i].available()) turns_[i] = std::max(turns_[i], level);
    }
  }

  std::vector<uint64_t> turns_;
  Rotation rotation_;
};

}  // namespace

std::unique_ptr<Policy> make_round_robin_policy(size_t endpoints) {
  return std::make_unique<RoundRobinPolicy>(endpoints);
}

}  // namespace kvasir
