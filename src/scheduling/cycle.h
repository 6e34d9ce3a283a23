// What the plugins of a profile see of one scheduling decision. Views are valid during it only.
#pragma once

#include <span>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/request.h"

namespace kvasir {

struct Snapshot;

struct Cycle {
  const Request& request;
  const Snapshot& fleet;
  TimePoint now{};
};

}  // namespace kvasir
