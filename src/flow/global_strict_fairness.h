// Tenants do not matter: whoever has the first request of all by the band's order goes next.
#pragma once

#include <tuple>

#include "scheduling/flow_plugins.h"

namespace kvasir {

class GlobalStrictFairness final : public FairnessPolicy {
 public:
  size_t next(int32_t, std::span<const FlowHead> flows, TimePoint) override {
    size_t first = 0;
    for (size_t i = 1; i < flows.size(); ++i) {
      const FlowHead& a = flows[i];
      const FlowHead& b = flows[first];
      if (std::tie(a.rank, a.sequence) < std::tie(b.rank, b.sequence)) first = i;
    }
    return first;
  }
};

}  // namespace kvasir
