// Holds a replay to its limits: the time until its next message, its time as a whole, its bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "base/clock.h"
#include "base/executor.h"

namespace kvasir {

struct ReplayLimits {
  Duration timeout = std::chrono::minutes(2);  // of one replay, whole
  Duration idle = std::chrono::seconds(2);     // without a message of it
  size_t bytes_max = size_t{1} << 30;
};

class ReplayWatch {
 public:
  // `passed` is told which limit it was; nothing is watched any more then. `executor` must outlive
  // this.
  ReplayWatch(const ReplayLimits& limits, Executor& executor,
              std::function<void(std::string_view why)> passed)
      : limits_(limits), executor_(executor), passed_(std::move(passed)) {}
  ~ReplayWatch() { stop(); }
  ReplayWatch(const ReplayWatch&) = delete;
  ReplayWatch& operator=(const ReplayWatch&) = delete;

  void start();
  void stop();
  // A message of it came. False: with it there are too many bytes.
  bool heard(size_t bytes);

 private:
  void on_timer();
  void arm();

  const ReplayLimits limits_;
  Executor& executor_;
  const std::function<void(std::string_view why)> passed_;
  TimerId timer_ = kNoTimer;
  TimePoint started_{};
  TimePoint heard_{};
  size_t bytes_ = 0;
};

}  // namespace kvasir
