// What the scheduler decided for one request.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

struct ScoredEndpoint {
  EndpointId endpoint{};
  double score = 0;  // weighted sum
};

struct Decision {
  static constexpr size_t kFallbacksMax = 7;

  EndpointId endpoint{};
  // Where to go when it fails, in order.
  std::array<EndpointId, kFallbacksMax> fallbacks{};
  uint8_t fallback_count = 0;
  // Of a prefill/decode pair, the endpoint that prefills.
  std::optional<EndpointId> prefill;
  double score = 0;  // the weighted sum that won; 0 for policies without scores
  uint32_t cached_tokens = 0;    // prompt tokens expected to be in the endpoint's cache
  bool cached_exactly = false;   // its engine says so; else it is guessed
  Duration predicted_prefill{};  // model seconds the prompt is predicted to take there; 0 when not predicted
  Duration predicted_wait{};     // model seconds of work ahead of it there; 0 when not predicted
};

}  // namespace kvasir
