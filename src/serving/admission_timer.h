// Runs an Admission when it has to, on one executor.
#pragma once

#include "base/executor.h"
#include "base/lifeline.h"

namespace kvasir {

class Admission;

class AdmissionTimer {
 public:
  // `time_scale`: model seconds a second, of the admission's clock. Both must outlive it; lives on
  // the executor's thread.
  AdmissionTimer(Executor& executor, Admission& admission, double time_scale = 1);
  ~AdmissionTimer();

 private:
  void run();

  Executor& executor_;
  Admission& admission_;
  const double time_scale_;
  TimerId timer_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
