// Holding, as the cost policies do it (routing_policy.md §2): a request waits at the gateway until
// some endpoint has less work ahead of it than the threshold (scheduling/saturation.h); of those
// that wait the one with the least work of its own, less a share of its age, goes first. While an
// endpoint is below that, nobody waits.
#pragma once

#include "base/clock.h"
#include "flow/global_strict_fairness.h"
#include "flow/smallest_work_ordering.h"
#include "serving/admission.h"

namespace kvasir {

class Scheduler;

class Holding {
 public:
  // The scheduler must outlive it, and its policy measure saturation and predict prefills: kv or
  // load-cost.
  explicit Holding(Scheduler& scheduler) : ordering_(scheduler) {}

  // Of an Admission that this object outlives. `held_most`, on the admission's clock: then the
  // request is given up. While no endpoint can be picked requests are refused at once.
  AdmissionSettings settings(Duration held_most);

 private:
  SmallestWorkOrdering ordering_;
  GlobalStrictFairness fairness_;
};

}  // namespace kvasir
