// What the plugins of a profile see of one scheduling decision. Views are valid during it only.
#pragma once

#include <span>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/request.h"

namespace kvasir {

class DecisionTrace;
struct ProfileResult;
struct Snapshot;

struct Cycle {
  const Request& request;
  const Snapshot& fleet;
  std::span<const EndpointId> candidates;  // before any filter; ascending
  TimePoint now{};
  // The profiles that ran before this one, in that order. Empty in produce().
  std::span<const ProfileResult> done = {};
  DecisionTrace* trace = nullptr;  // the scheduler's, not the plugins'
  std::span<const EndpointId> avoided = {};  // no candidates for now: something failed there lately
  bool widened = false;                      // as in PickContext, like the next
  std::span<const EndpointId> tried = {};
  int profile = 0;  // that runs now: its place in the configuration
};

}  // namespace kvasir
