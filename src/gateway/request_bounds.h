// What one request may cost: how often it is tried, and how long it may take. The flags say it; a
// client may ask for less. Private to gateway/.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace kvasir {

class HttpHead;
struct GatewayOptions;

inline constexpr std::string_view kMaxRetriesHeader = "x-max-retries";
inline constexpr std::string_view kRequestTimeoutHeader = "x-request-timeout";

struct RequestBounds {
  uint32_t attempts_max = 1;            // the first included
  uint32_t prefills_max = UINT32_MAX;   // legs that prefill, beside what the options say of them
  Duration timeout = Duration::zero();  // from the whole request to the answer's end; zero: none
};

// As the options and the request's headers have it. The Error says which header cannot be read, and
// how it is written; it quotes nothing of it.
Result<RequestBounds> request_bounds(const HttpHead& head, const GatewayOptions& options);

}  // namespace kvasir
