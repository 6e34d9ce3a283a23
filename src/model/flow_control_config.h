// What a configuration says about flow control, as plain data: who waits where, for how long, and
// who goes first. Written by whoever reads a file (config/endpoint_picker_config.h), read by
// flow/flow_controller.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace kvasir {

struct PriorityBandConfig {
  int64_t priority = 0;
  uint64_t bytes_most = 1'000'000'000;
  uint64_t requests_most = 5000;
  std::string fairness_policy = "global-strict-fairness-policy";
  std::string ordering_policy = "fcfs-ordering-policy";
  int line = 0;
  // How long its requests may wait while there are endpoints, when that is shorter than the one for
  // all; zero: as long as that says.
  Duration default_request_ttl{};
};

struct FlowControlConfig {
  std::optional<uint64_t> bytes_most;  // of all bands together; none: no limit
  std::optional<uint64_t> requests_most;
  Duration default_request_ttl = std::chrono::seconds(60);
  Duration no_endpoint_request_ttl =
      std::chrono::seconds(60);              // follows the one above unless written
  PriorityBandConfig default_band;           // of priorities that have no band of their own
  PriorityBandConfig default_negative_band;  // the same below 0
  std::vector<PriorityBandConfig> bands;     // highest priority first
  std::string usage_limit_policy;            // empty: none
  std::string saturation_detector = "utilization-detector";
  bool eviction = false;
  int line = 0;  // 0: not in the file
};

}  // namespace kvasir
