// Runs an Admission when it has to, on one event loop.
#pragma once

#include <memory>

#include "net/event_loop.h"

namespace kvasir {

class Admission;

class AdmissionTimer {
 public:
  // `time_scale`: model seconds a second, of the admission's clock. Both must outlive it; lives on
  // the loop's thread.
  AdmissionTimer(EventLoop& loop, Admission& admission, double time_scale = 1);
  ~AdmissionTimer();

 private:
  void run();

  EventLoop& loop_;
  Admission& admission_;
  const double time_scale_;
  TimerId timer_ = kNoTimer;
  std::shared_ptr<AdmissionTimer*>
      self_;  // null inside once this is gone: what was posted looks there
};

}  // namespace kvasir
