// Takes endpoints that answer badly out of the candidates for a while, though their health checks
// pass.
//
// So many failures in a row (errors, resets, timeouts) eject an endpoint; each further time it
// stays out longer. Never more than a share of the fleet is out, so never all of it. Sans I/O but
// for Fleet::set_ejected().
//
// Thread-safe. succeeded() is as good as free: it is called for every answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "fleet/fleet.h"

namespace kvasir {

struct EjectionOptions {
  uint32_t failures_in_a_row = 5;
  Duration base_time =
      std::chrono::seconds(30);  // out for this the first time, twice that the second, ...
  Duration time_max = std::chrono::seconds(300);
  double share_max = 0.5;  // of the endpoints that are present; 0 to 1, below 1
};

class OutlierEjection {
 public:
  // Both must outlive this.
  OutlierEjection(Fleet& fleet, const Clock& clock, EjectionOptions options = {});

  void succeeded(EndpointId endpoint);
  void failed(EndpointId endpoint);
  // Brings those back whose time is over. Call it about once a second.
  void release_due();

 private:
  struct Slot {
    std::atomic<uint32_t> failures{0};  // in a row
    // Under mutex_.
    uint64_t joined = 0;
    uint32_t ejections = 0;
    bool out = false;
    TimePoint until{};     // out until then
    TimePoint released{};  // came back then
    Duration last_time{};
  };

  bool may_eject(const Snapshot& fleet) const;
  void forget_others(Slot& slot, const EndpointState& state);

  Fleet& fleet_;
  const Clock& clock_;
  const EjectionOptions options_;
  std::mutex mutex_;
  std::vector<Slot> slots_;
};

}  // namespace kvasir
