// The kinds of plugin that flow control is made of, and the set of them that a configuration chose.
//
// Detectors, admitters: called under the scheduler's mutex. All others: under the FlowController's.
// None may block or call back into either.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/flow_control_config.h"
#include "scheduling/plugin.h"
#include "scheduling/saturation.h"

namespace kvasir {

struct Snapshot;

// A request that is held, as the policies see it.
struct HeldRequest {
  const Request& request;
  TimePoint received{};
  TimePoint deadline{};  // when it is given up
  // On the endpoint that suits it best; 0: not predicted, or the policy does not read it.
  Duration predicted_prefill{};
};

// The first request of a flow (of one tenant in one priority band).
struct FlowHead {
  std::string_view fairness_id;
  TimePoint received{};
  Duration rank{};        // as its ordering policy gave it
  uint64_t sequence = 0;  // of its arrival
};

// What a tenant got so far, as a fairness policy counts it.
struct TenantService {
  std::string fairness_id;
  double tokens = 0;        // weighted and decayed
  uint64_t dispatched = 0;  // requests that were let go,
  Duration mean_wait{};     // and how long one waited
};

// Which flow of a priority band goes next.
class FairnessPolicy : public virtual Plugin {
 public:
  // An index into `flows`, which are in the order of their ids. Precondition: one at least.
  virtual size_t next(int32_t priority, std::span<const FlowHead> flows, TimePoint now) = 0;
  // What a request of that tenant took, told when it ended.
  virtual void served(std::string_view fairness_id, uint64_t prompt_tokens, uint64_t output_tokens,
                      TimePoint now) {
    static_cast<void>(fairness_id), static_cast<void>(prompt_tokens);
    static_cast<void>(output_tokens), static_cast<void>(now);
  }
  // A request of that tenant was let go after it waited so long.
  virtual void dispatched(std::string_view fairness_id, Duration waited, TimePoint now) {
    static_cast<void>(fairness_id), static_cast<void>(waited), static_cast<void>(now);
  }
  // nullopt: it does not count.
  virtual std::optional<std::vector<TenantService>> tenants(TimePoint now) const {
    static_cast<void>(now);
    return std::nullopt;
  }
};

// Which request of a flow goes next.
class OrderingPolicy : public virtual Plugin {
 public:
  // The smallest goes first; of equal ones the one that came first.
  virtual Duration rank(const HeldRequest& held) = 0;
  // Whether a rank is to be asked for again before each decision, for the first
  // kRanksRefreshedMost.
  virtual bool ranks_change() const { return false; }
  // Whether rank() reads HeldRequest::predicted_prefill.
  virtual bool reads_predicted_prefill() const { return false; }
  // A request that is as near to its deadline as this goes before all ranks.
  virtual Duration urgent_before_deadline() const { return Duration::zero(); }
};

// Up to which saturation of the pool a band may send.
class UsageLimitPolicy : public virtual Plugin {
 public:
  // A request could be sent now, at this saturation: told before each ceiling() of the band that is
  // to send. `priorities`: of all bands, highest first.
  virtual void next_chance(double saturation, std::span<const int32_t> priorities) {
    static_cast<void>(saturation), static_cast<void>(priorities);
  }
  // `priority` is one of `priorities`.
  virtual double ceiling(int32_t priority, std::span<const int32_t> priorities) const = 0;
};

class SaturationDetector : public virtual Plugin {
 public:
  // Of these endpoints together; 1 when there are none.
  virtual double saturation(const Snapshot& fleet, std::span<const EndpointId> endpoints,
                            TimePoint now) const = 0;
  virtual size_t stale_endpoints(const Snapshot& fleet, std::span<const EndpointId> endpoints,
                                 TimePoint now) const {
    static_cast<void>(fleet), static_cast<void>(endpoints), static_cast<void>(now);
    return 0;
  }
  // Of the pool as a whole, for a detector that knows no stages and perhaps when it will change:
  // then it is asked instead of the two above. nullopt: it looks at each stage alone.
  virtual std::optional<PoolSaturation> pool_saturation(std::span<const EndpointId> endpoints,
                                                        TimePoint now) const {
    static_cast<void>(endpoints), static_cast<void>(now);
    return std::nullopt;
  }
  // How long after a request left until saturation() shows it for sure.
  virtual Duration settling_time() const = 0;
};

// May refuse a request before it is scheduled.
class Admitter : public virtual Plugin {
 public:
  virtual bool admits(const Cycle& cycle) = 0;
};

// A request that was sent on, and when.
struct InFlightRequest {
  int32_t priority = 0;
  TimePoint dispatched{};
  uint64_t sequence = 0;
};

// Whether it may be ended for the sake of another.
class EvictionFilter : public virtual Plugin {
 public:
  virtual bool may_evict(const InFlightRequest& request) const = 0;
};

// Who is ended first.
class EvictionOrder : public virtual Plugin {
 public:
  virtual bool before(const InFlightRequest& a, const InFlightRequest& b) const = 0;
};

// The plugins of a FlowControlConfig. Borrowed: they live as long as the policy that was made with
// them.
struct FlowPlugins {
  std::map<std::string, FairnessPolicy*, std::less<>> fairness =
      {};  // by the names in the configuration
  std::map<std::string, OrderingPolicy*, std::less<>> ordering = {};
  UsageLimitPolicy* usage_limit = nullptr;          // null: every ceiling is 1
  const EvictionFilter* eviction_filter = nullptr;  // null: nobody is evicted
  const EvictionOrder* eviction_order = nullptr;
  Duration settling_time{};  // of the detector
};

// All that a FlowController is told. Precondition of its use: every policy that the configuration
// names is there.
struct FlowSettings {
  FlowControlConfig config = {};
  FlowPlugins plugins = {};
};

}  // namespace kvasir
