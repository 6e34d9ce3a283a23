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

// What a FlowController notes of an item.
struct FlowPlace {
  enum class State : uint8_t { kNew, kHeld, kInFlight, kOver };

  State state = State::kNew;
  uint64_t sequence = 0;
  TimePoint received{};
  TimePoint deadline{};
  Duration rank{};
  Duration held_for{};
  int32_t band = 0;  // the priority of the band that it waits in
  InFlightRequest in_flight;
  std::optional<TimePoint> revoked_at;
};

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
  // Of its request, on the endpoint that suits it best, in seconds of the controller's clock; 0: not
  // predicted. Under the controller's mutex: as dispatch().
  virtual Duration predicted_prefill() { return Duration::zero(); }
  // A held item is no longer: with kDispatched its booking stands. On any thread, without the
  // mutex. Not called for an outcome that enqueue() returned, nor after cancel() returned true.
  virtual void finished(FlowOutcome outcome) = 0;
  // A dispatched item must end for the sake of another: answer its client with answer_for(outcome),
  // and call ended(). On any thread, without the mutex; perhaps after its end.
  virtual void evicted(FlowOutcome outcome) { static_cast<void>(outcome); }

  const Request& request() const { return request_; }
  uint64_t bytes() const { return bytes_; }
  // How long it was held, on the controller's clock. Settled once an outcome is known.
  Duration held_for() const { return place_.held_for; }

  // Where it stands with the controller: the business of flow/ alone, under the controller's mutex.
  FlowPlace& place() { return place_; }
  const FlowPlace& place() const { return place_; }

 private:
  const Request& request_;
  const uint64_t bytes_;
  FlowPlace place_;
};

}  // namespace kvasir
