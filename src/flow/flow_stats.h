// What a FlowController says of itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "flow/flow_outcome.h"
#include "model/request.h"
#include "scheduling/flow_plugins.h"
#include "scheduling/saturation.h"

namespace kvasir {

struct FlowQueueStats {
  std::string fairness_id;
  uint64_t requests = 0;
  uint64_t bytes = 0;
};

struct FlowBandStats {
  int64_t priority = 0;
  uint64_t requests = 0;
  uint64_t bytes = 0;
  uint64_t requests_most = 0;
  uint64_t bytes_most = 0;
  std::vector<FlowQueueStats> flows;  // those with somebody in it, by id
};

struct RevocationStats {
  uint64_t issued = 0;     // requests asked to end
  uint64_t confirmed = 0;  // that did
  uint64_t timed_out = 0;  // that did not in time
  uint64_t pending = 0;
};

struct FlowStats {
  uint64_t requests = 0;  // held, in all bands
  uint64_t bytes = 0;
  std::optional<uint64_t> requests_most;
  std::optional<uint64_t> bytes_most;
  PoolSaturation saturation;         // as it was read last
  std::vector<FlowBandStats> bands;  // highest priority first
  RevocationStats revocations;
  std::optional<std::vector<TenantService>> tenants;  // where a fairness policy counts them
};

// Told of every event as it happens, under the controller's mutex: it must not block, nor call the
// controller.
class FlowProbe {
 public:
  virtual ~FlowProbe() = default;
  // A request left, after `held` in the band of that priority; 0 when it never waited. `request` is
  // still valid.
  virtual void on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                          Duration held) = 0;
  // The metrics of every endpoint are too old to say how full it is, which counts as full: nobody is
  // let go. Or (`all` false) that is over.
  virtual void on_metrics_stale(bool all, size_t endpoints) {
    static_cast<void>(all), static_cast<void>(endpoints);
  }
  // One pass over the bands took so long.
  virtual void on_cycle(Duration took) { static_cast<void>(took); }
  // A request that was asked to end did, after so long.
  virtual void on_revoked(Duration after) { static_cast<void>(after); }
};

}  // namespace kvasir
