// The door of a server: each request goes to the scheduler at once, waits for its turn, or is
// refused. Everything that serves requests (gateway, endpoint picker) asks here, and tells its
// clients what flow/flow_outcome.h says.
//
//   Admission admission(scheduler, clock, settings);  // one for all threads
//   AdmissionTimer timer(loop, admission);            // serving/admission_timer.h; on any loop
//
//   routed.set_class(request_class(headers, priority_of));  // serving/request_class.h
//   auto ticket = std::make_shared<AdmissionTicket>(routed, body_bytes, later, evict);
//   if (auto verdict = admission.admit(ticket)) ... else wait for `later`
//   ...
//   admission.cancel(*ticket);  // when the request is over, whatever became of it:
//   routed.ended();             // these three, in this order
//   admission.ended(*ticket, prompt_tokens, output_tokens);
//
// Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "flow/first_come_ordering.h"
#include "flow/flow_controller.h"
#include "flow/global_strict_fairness.h"
#include "model/decision.h"
#include "scheduling/scheduler.h"

namespace kvasir {

class RoutedRequest;

struct AdmissionSettings {
  enum class Mode : uint8_t {
    kOpen,      // everything goes to the scheduler at once
    kShedding,  // the same, but a priority below 0 is refused while the pool is saturated or empty
    kFlowControl,  // FlowController
  };
  Mode mode = Mode::kOpen;
  FlowSettings flow = {};  // of kFlowControl; its plugins outlive their use
};

struct Verdict {
  FlowOutcome outcome = FlowOutcome::kOther;
  Decision decision = {};  // when kDispatched: where it goes, booked
  Duration held{};         // model time it waited

  bool dispatched() const { return outcome == FlowOutcome::kDispatched; }
};

// One request at the door. Its owner keeps it until the request is over.
class AdmissionTicket final : public FlowItem {
 public:
  // `routed` must not be touched between admit() and the verdict (or the return of cancel()), and
  // must outlive both. `later`: the verdict on a request that was held. `evict`: a dispatched
  // request must end (kEvicted...): answer with answer_for(outcome). Both come on any thread,
  // perhaps when the request is over: post to the loop of the request, and look there whether it
  // still lives. Neither holds a lock.
  AdmissionTicket(RoutedRequest& routed, uint64_t bytes, std::function<void(const Verdict&)> later,
                  std::function<void(FlowOutcome)> evict);

 private:
  friend class Admission;

  Refusal dispatch() override;
  void finished(FlowOutcome outcome) override;
  void evicted(FlowOutcome outcome) override;
  Verdict verdict(FlowOutcome outcome) const;

  RoutedRequest& routed_;
  const std::function<void(const Verdict&)> later_;
  const std::function<void(FlowOutcome)> evict_;
  Decision decision_;
};

class Admission {
 public:
  // `clock`: the scheduler's. Listens to the scheduler's releases. `probe` may be null. All must
  // outlive it.
  Admission(Scheduler& scheduler, const Clock& clock, AdmissionSettings settings,
            FlowProbe* probe = nullptr);
  ~Admission();

  // The verdict; nullopt: it is held, and `later` will tell. Once for each ticket.
  std::optional<Verdict> admit(const std::shared_ptr<AdmissionTicket>& ticket);
  // True: it was held, and `later` will not be called. False: it was not, or no longer; a verdict
  // that is on its way may still come, and a booking that was made is released by RoutedRequest as
  // always.
  bool cancel(AdmissionTicket& ticket);
  // The request is over, after RoutedRequest::ended(). Tokens: 0 when not known. Does nothing for
  // one that was not dispatched.
  void ended(AdmissionTicket& ticket, uint64_t prompt_tokens, uint64_t output_tokens);

  // Priorities that clients may come with (InferenceObjectives); others wait with priority 0.
  void set_priorities(const std::vector<int32_t>& priorities);
  void drain();

  // From now on by these settings; who is held stays held, in the new order. When a policy takes
  // the place of another: first this, then Scheduler::replace_policy, for the plugins of the old
  // one die with it.
  void reconfigure(AdmissionSettings settings);

  AdmissionSettings::Mode mode() const { return mode_; }
  // Who waits, and how full the pool is.
  FlowStats stats();

  // For AdmissionTimer. `wake` is called, on any thread, when run() must be called earlier than was
  // said.
  void set_waker(std::function<void()> wake) { wake_ = std::move(wake); }
  // Answers the model time until it must be called again; nullopt: not before it wakes.
  std::optional<Duration> run();

 private:
  FlowSettings flow_settings(AdmissionSettings settings);
  void wake();

  Scheduler& scheduler_;
  const Clock& clock_;
  // For a controller that has nobody to hold any more.
  GlobalStrictFairness fairness_;
  FirstComeOrdering ordering_;
  std::atomic<AdmissionSettings::Mode> mode_;
  FlowController controller_;
  std::function<void()> wake_;
  std::atomic<bool> wake_pending_{false};
};

}  // namespace kvasir
