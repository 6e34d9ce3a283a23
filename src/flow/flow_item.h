// A request on its way through a FlowController. Whoever serves requests derives from it.
//
// An item is enqueued once. The controller calls each method at most once:
//
//   enqueue -> [held] -> dispatch() -> finished(kDispatched) -> [evicted()] -> the owner calls
//   ended()
//                     -> finished(anything else)
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "flow/flow_outcome.h"
#include "model/request.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {

class FlowItem {
 public:
  // `request` is valid and unchanged while the item is held; its fairness_id and priority say where
  // it waits.
  FlowItem(const Request& request, uint64_t bytes) : request_(request), bytes_(bytes) {}
  virtual ~FlowItem() = default;
  FlowItem(const FlowItem&) = delete;
  FlowItem& operator=(const FlowItem&) = delete;

  // Schedules and books the request in one step. Under the controller's mutex, on any thread: it
  // must not block, nor call the controller.
  virtual Refusal dispatch() = 0;
  // A held item is no longer: with kDispatched its booking stands. On any thread, without the
  // mutex. Not called for an outcome that enqueue() returned, nor after cancel() returned true.
  virtual void finished(FlowOutcome outcome) = 0;
  // A dispatched item must end for the sake of another: answer its client with answer_for(outcome),
  // and call ended(). On any thread, without the mutex; perhaps after its end.
  virtual void evicted(FlowOutcome outcome) { static_cast<void>(outcome); }

  const Request& request() const { return request_; }
  uint64_t bytes() const { return bytes_; }
  // How long it was held, on the controller's clock. Settled once an outcome is known.
  Duration held_for() const { return held_for_; }

 private:
  friend class EvictionList;
  friend class FlowController;
  friend class FlowQueue;
  friend class PriorityBand;

  enum class State : uint8_t { kNew, kHeld, kInFlight, kOver };

  const Request& request_;
  const uint64_t bytes_;
  // All below under the controller's mutex.
  State state_ = State::kNew;
  uint64_t sequence_ = 0;
  TimePoint received_{};
  TimePoint deadline_{};
  Duration rank_{};
  Duration held_for_{};
  int32_t band_ = 0;  // the priority of the band that it waits in
  InFlightRequest in_flight_;
  std::optional<TimePoint> revoked_at_;
};

}  // namespace kvasir
