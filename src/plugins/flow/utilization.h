// How full one endpoint is by what its engine reports, for the plugins that shed or hold by it.
#pragma once

#include <algorithm>

#include "fleet/fleet.h"

namespace kvasir {

struct UtilizationThresholds {
  double queue_depth = 5;
  double kv_usage = .8;
};

// max(waiting / queue_depth, kv_usage / threshold). Of two numbers the one that is not reported
// counts nothing; when neither is, the endpoint counts as saturated (1).
inline double utilization_of(const EngineMetrics& metrics,
                             const UtilizationThresholds& thresholds) {
  if (!metrics.waiting && !metrics.kv_usage) return 1;
  return std::max(metrics.waiting.value_or(0) / thresholds.queue_depth,
                  metrics.kv_usage.value_or(0) / thresholds.kv_usage);
}

}  // namespace kvasir
