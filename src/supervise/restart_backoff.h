// How long a process that died waits before it is started again: 0.2 s, doubling to 10 s. A process
// that lived for a minute starts over at 0.2 s.
#pragma once

#include "base/clock.h"

namespace kvasir {

class RestartBackoff {
 public:
  static constexpr Duration kFirstPause = std::chrono::milliseconds(200);
  static constexpr Duration kLongestPause = std::chrono::seconds(10);
  static constexpr Duration kLongLife = std::chrono::seconds(60);

  // The pause after a process that lived for `lifetime`.
  Duration after_death(Duration lifetime) {
    if (lifetime >= kLongLife) next_ = kFirstPause;
    const Duration pause = next_;
    next_ = next_ * 2 < kLongestPause ? next_ * 2 : kLongestPause;
    return pause;
  }

 private:
  Duration next_ = kFirstPause;
};

}  // namespace kvasir
