// The door of a server: each request goes to the scheduler at once, waits for its turn, or is
// refused. Everything that serves requests (gateway, endpoint picker) asks here, and tells its
// clients what flow/flow_outcome.h says.
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
#include "scheduling/scheduler.h"

namespace kvasir {

struct AdmissionSettings {
  enum class Mode : uint8_t {
    kOpen,      // everything goes to the scheduler at once
    kShedding,  // the same, but a priority below 0 is refused while the pool is saturated or empty
    kFlowControl,  // FlowController
  };
  Mode mode = Mode::kOpen;
  FlowSettings flow = {};  // of kFlowControl; its plugins outlive their use
};

class Admission {
 public:
  // `clock`: the scheduler's. Listens to the scheduler's releases. `probe` may be null. All must
  // outlive it.
  Admission(Scheduler& scheduler, const Clock& clock, AdmissionSettings settings,
            FlowProbe* probe = nullptr);
  ~Admission();

  // Whether requests can have to wait: then each is to be admitted. Else they go to the scheduler.
  bool holds() const { return mode_ == AdmissionSettings::Mode::kFlowControl; }
  // Whether it is refused (kShed), where nobody can have to wait.
  bool sheds(const Request& request);
  // What became of it; nullopt: it is held, and FlowItem::finished() will tell. Once for each item.
  std::optional<FlowOutcome> admit(const std::shared_ptr<FlowItem>& item);
  // True: it was held, and finished() will not be called. False: it was not, or no longer; news
  // that is on its way may still come, and a booking that was made is its owner's to release.
  bool cancel(FlowItem& item);
  // The request is over and its booking released. Tokens: 0 when not known. Does nothing for one
  // that was not dispatched.
  void ended(FlowItem& item, uint64_t prompt_tokens, uint64_t output_tokens);

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
  PoolSaturation holding_saturation();
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
