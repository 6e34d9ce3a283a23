// The flags of health checks, the same for every program that does them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "feeds/endpoint_monitor.h"

namespace CLI {
class App;
}

namespace kvasir {

struct HealthFlags {
  bool checks = true;              // false: every endpoint counts as healthy
  std::vector<std::string> paths;  // each PATH or ENGINE=PATH
  double interval_s = 1;
  double timeout_s = 2;
  uint32_t healthy_threshold = 1;
  uint32_t unhealthy_threshold = 2;
  std::string when_none_healthy = "try";
};

void add_health_flags(CLI::App& command, HealthFlags& flags);
Result<MonitorOptions> monitor_options(const HealthFlags& flags);

}  // namespace kvasir
