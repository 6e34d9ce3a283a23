#include "serving/admission_timer.h"

#include <optional>

#include "serving/admission.h"

namespace kvasir {

AdmissionTimer::AdmissionTimer(Executor& executor, Admission& admission, double time_scale)
    : executor_(executor), admission_(admission), time_scale_(time_scale) {
  admission_.set_waker(lifeline_.posting(executor_, [this] { run(); }));
}

AdmissionTimer::~AdmissionTimer() {
  executor_.cancel(timer_);
}

void AdmissionTimer::run() {
  executor_.cancel(timer_);
  timer_ = kNoTimer;
  const std::optional<Duration> next = admission_.run();
  if (!next) return;
  timer_ = executor_.after(scaled(*next, 1 / time_scale_), [this] {
    timer_ = kNoTimer;
    run();
  });
}

}  // namespace kvasir
