// Time as Kubernetes writes it.
#pragma once

#include <string>

#include "base/clock.h"

namespace kvasir {

// The machine's idea of the time of day; its TimePoints count from 1970. Only for what is written
// for others to read: it may jump.
class WallClock final : public Clock {
 public:
  TimePoint now() const override;
};

// MicroTime of the API: "2026-01-31T08:00:00.000000Z".
std::string micro_time(TimePoint wall);

// "30 s", "0.05 s".
std::string seconds_text(Duration duration);

}  // namespace kvasir
