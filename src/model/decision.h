// What the scheduler decided for one request.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

struct Decision {
  EndpointId endpoint{};
  uint32_t cached_tokens = 0;    // prompt tokens expected to be in the endpoint's cache
  Duration predicted_prefill{};  // model seconds the prompt is predicted to take there; 0 when not predicted
  Duration predicted_wait{};     // model seconds of work ahead of it there; 0 when not predicted
};

}  // namespace kvasir
