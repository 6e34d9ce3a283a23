#include "apps/resilience_flags.h"

#include "apps/duration_flag.h"
#include "apps/number_checks.h"

namespace kvasir {

void add_resilience_flags(CLI::App& command, ResilienceFlags& flags) {
  add_seconds_flag(
      command, "--request-timeout", flags.request_timeout_s,
      "What a request may take in all, from its last byte to its answer's: then 504, or\n"
      "the answer is cut; 0: no limit. It cuts streams that are longer")
      ->check(from_zero());
  add_seconds_flag(
      command, "--request-timeout-max", flags.request_timeout_max_s,
      "The longest that a client may ask for instead, by x-request-timeout: 30s (default:\n"
      "--request-timeout, and without that any); 0: the default")
      ->check(from_zero());
}

Result<void> read_resilience_flags(const ResilienceFlags& flags, GatewayOptions& options) {
  if (flags.request_timeout_max_s > 0 && flags.request_timeout_max_s < flags.request_timeout_s) {
    return Error{"--request-timeout-max: less than --request-timeout, which every request has"};
  }
  options.request_timeout = from_seconds(flags.request_timeout_s);
  options.request_timeout_max = from_seconds(flags.request_timeout_max_s);
  return {};
}

}  // namespace kvasir
