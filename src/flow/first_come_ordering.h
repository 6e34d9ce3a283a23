// Who came first goes first.
#pragma once

#include "scheduling/flow_plugins.h"

namespace kvasir {

class FirstComeOrdering final : public OrderingPolicy {
 public:
  Duration rank(const HeldRequest& held) override { return held.received.time_since_epoch(); }
};

}  // namespace kvasir
