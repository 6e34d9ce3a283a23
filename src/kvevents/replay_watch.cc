#include "kvevents/replay_watch.h"

#include <algorithm>

namespace kvasir {

void ReplayWatch::start() {
  stop();
  started_ = heard_ = executor_.now();
  bytes_ = 0;
  arm();
}

void ReplayWatch::stop() {
  executor_.cancel(timer_);
  timer_ = kNoTimer;
}

bool ReplayWatch::heard(size_t bytes) {
  heard_ = executor_.now();
  bytes_ += bytes;
  return bytes_ <= limits_.bytes_max;
}

void ReplayWatch::arm() {
  const TimePoint next =
      std::min(time_after(heard_, limits_.idle), time_after(started_, limits_.timeout));
  timer_ = executor_.after(next - executor_.now(), [this] { on_timer(); });
}

void ReplayWatch::on_timer() {
  timer_ = kNoTimer;
  const TimePoint now = executor_.now();
  if (now >= time_after(started_, limits_.timeout)) return passed_("it takes too long");
  if (now >= time_after(heard_, limits_.idle)) return passed_("nothing came for too long");
  arm();
}

}  // namespace kvasir
