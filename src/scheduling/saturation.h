// How full the pool is, as the policy measures it. 1 and more is saturated.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "base/clock.h"

namespace kvasir {

// Requests are held while every endpoint has this much predicted work ahead of it, unless an
// operator says otherwise
// (--hold-threshold). The later a request is bound to an endpoint, the better the choice; below
// this, endpoints begin to run dry.
inline constexpr Duration kHoldThreshold = std::chrono::milliseconds(50);

struct PoolSaturation {
  // By stage (label llm-d.ai/role); a stage that nobody serves is 0.
  double prefill = 0;
  double decode = 0;
  size_t endpoints = 0;        // that can be picked; none: saturated
  size_t stale_endpoints = 0;  // of those, whose metrics are too old to say
  // When `effective()` may fall below 1 by the passing of time alone; nullopt: nobody can tell.
  std::optional<Duration> falls_in = {};

  double effective() const { return endpoints == 0 ? 1 : std::max(prefill, decode); }
};

}  // namespace kvasir
