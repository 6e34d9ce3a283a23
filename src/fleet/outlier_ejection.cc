#include "fleet/outlier_ejection.h"

#include <algorithm>

namespace kvasir {

OutlierEjection::OutlierEjection(Fleet& fleet, const Clock& clock, EjectionOptions options)
    : fleet_(fleet), clock_(clock), options_(options), slots_(fleet.size()) {}

void OutlierEjection::succeeded(EndpointId endpoint) {
  std::atomic<uint32_t>& failures = slots_[index_of(endpoint)].failures;
  if (failures.load(std::memory_order_relaxed) != 0) failures.store(0, std::memory_order_relaxed);
}

void OutlierEjection::failed(EndpointId endpoint) {
  Slot& slot = slots_[index_of(endpoint)];
  if (slot.failures.fetch_add(1, std::memory_order_relaxed) + 1 < options_.failures_in_a_row)
    return;
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  const EndpointState& state = fleet->endpoints[index_of(endpoint)];
  forget_others(slot, state);
  if (!state.present || slot.out || !may_eject(*fleet)) return;
  const TimePoint now = clock_.now();
  // It behaved for as long as it was out: a new beginning.
  if (slot.ejections > 0 && now - slot.released >= slot.last_time) slot.ejections = 0;
  ++slot.ejections;
  slot.last_time = std::min(options_.base_time * slot.ejections, options_.time_max);
  slot.until = now + slot.last_time;
  slot.out = true;
  slot.failures.store(0, std::memory_order_relaxed);
  fleet_.set_ejected(endpoint, true);
}

void OutlierEjection::release_due() {
  std::lock_guard<std::mutex> lock(mutex_);
  const TimePoint now = clock_.now();
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.out || now < slot.until) continue;
    slot.out = false;
    slot.released = now;
    slot.failures.store(0, std::memory_order_relaxed);
    fleet_.set_ejected(EndpointId(i), false);
  }
}

bool OutlierEjection::may_eject(const Snapshot& fleet) const {
  double present = 0;
  double out = 0;
  for (const EndpointState& state : fleet.endpoints) {
    present += state.present ? 1 : 0;
    out += state.present && state.ejected ? 1 : 0;
  }
  return out + 1 <= options_.share_max * present && out + 1 < present;
}

// What the slot's owner before did is not held against this one.
void OutlierEjection::forget_others(Slot& slot, const EndpointState& state) {
  if (slot.joined == state.joined) return;
  slot.joined = state.joined;
  slot.ejections = 0;
  slot.out = false;
}

}  // namespace kvasir
