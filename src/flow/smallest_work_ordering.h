// How the policy kv holds requests (routing_policy.md §2): among those that wait the smallest d -
// 0.2 x age goes first, where d is the prefill that the policy predicts for it on the endpoint that
// suits it best.
//
// d is asked for again before each decision: when a request with the same prefix was just sent, it
// is smaller. Age keeps long prompts from waiting for ever; and who has less than kUrgent left
// until its deadline goes before all.
#pragma once

#include "scheduling/flow_plugins.h"

namespace kvasir {

class SmallestWorkOrdering final : public OrderingPolicy {
 public:
  static constexpr double kAgeWeight = 0.2;
  static constexpr Duration kUrgent = std::chrono::seconds(2);

  // d - 0.2 (now - received), less what is the same for all.
  Duration rank(const HeldRequest& held) override {
    const auto received =
        std::chrono::duration<double, std::nano>(held.received.time_since_epoch());
    return held.predicted_prefill + std::chrono::duration_cast<Duration>(kAgeWeight * received);
  }
  bool ranks_change() const override { return true; }
  bool reads_predicted_prefill() const override { return true; }
  Duration urgent_before_deadline() const override { return kUrgent; }
};

}  // namespace kvasir
