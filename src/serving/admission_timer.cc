#include "serving/admission_timer.h"

#include <optional>

#include "serving/admission.h"

namespace kvasir {

AdmissionTimer::AdmissionTimer(EventLoop& loop, Admission& admission, double time_scale)
    : loop_(loop),
      admission_(admission),
      time_scale_(time_scale),
      self_(std::make_shared<AdmissionTimer*>(this)) {
  admission_.set_waker([&loop, self = self_] {
    loop.post([self] {
      if (*self != nullptr) (*self)->run();
    });
  });
}

AdmissionTimer::~AdmissionTimer() {
  *self_ = nullptr;
  loop_.cancel(timer_);
}

void AdmissionTimer::run() {
  loop_.cancel(timer_);
  timer_ = kNoTimer;
  const std::optional<Duration> next = admission_.run();
  if (!next) return;
  const auto delay = std::chrono::duration<double, std::nano>(*next) / time_scale_;
  timer_ = loop_.after(std::chrono::duration_cast<Duration>(delay), [this] {
    timer_ = kNoTimer;
    run();
  });
}

}  // namespace kvasir
