// What `kvasir up` says while it runs: a line of numbers, and a sentence whenever something
// changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "supervise/fleet_supervisor.h"

namespace kvasir {

// The gateway's numbers that matter to a spectator.
struct GatewayNumbers {
  uint64_t requests = 0;
  uint64_t errors = 0;  // answered with 400 and above, but for 499 (the client left)
  uint32_t in_flight = 0;
  uint32_t workers = 0;
  uint32_t workers_healthy = 0;
};

// Reads the gateway's /metrics page.
GatewayNumbers read_gateway_numbers(std::string_view page);

class UpStatus {
 public:
  // Takes what is known `now` and returns what changed since the last time, one sentence each.
  // `numbers`: nullopt while the gateway does not answer.
  std::vector<std::string> update(TimePoint now, const std::vector<ProcessStatus>& processes,
                                  const std::optional<GatewayNumbers>& numbers);

  // The line, under 80 columns; empty before the first update.
  const std::string& line() const { return line_; }

 private:
  void compare_processes(const std::vector<ProcessStatus>& processes,
                         std::vector<std::string>& changes);
  void compare_numbers(const GatewayNumbers& numbers, std::vector<std::string>& changes);

  std::string line_;
  TimePoint last_update_;
  std::vector<ProcessStatus> processes_;
  std::optional<GatewayNumbers> numbers_;  // the last that were read
};

}  // namespace kvasir
