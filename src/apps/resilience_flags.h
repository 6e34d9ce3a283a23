// How `kvasir gateway` bounds what one request may cost, as flags.
#pragma once

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "gateway/gateway_options.h"

namespace kvasir {

struct ResilienceFlags {
  double request_timeout_s = 0;      // 0: none
  double request_timeout_max_s = 0;  // the same
};

void add_resilience_flags(CLI::App& command, ResilienceFlags& flags);
// The Error names the flag.
Result<void> read_resilience_flags(const ResilienceFlags& flags, GatewayOptions& options);

}  // namespace kvasir
