// Numbers of an endpoint by name, for the plugins that are told which to read.
#pragma once

#include <optional>
#include <string_view>

#include "fleet/fleet.h"

namespace kvasir {

// waiting-queue, running-requests, kv-cache-utilization and gpu-utilization, or an attribute that a
// custom metric was extracted to; nullopt: the endpoint did not report it.
inline std::optional<double> endpoint_attribute(const EngineMetrics& metrics,
                                                std::string_view name) {
  if (name == "waiting-queue") return metrics.waiting;
  if (name == "running-requests") return metrics.running;
  if (name == "kv-cache-utilization") return metrics.kv_usage;
  if (name == "gpu-utilization") return metrics.gpu_utilization;
  const auto found = metrics.details().attributes.find(name);
  if (found == metrics.details().attributes.end()) return std::nullopt;
  return found->second;
}

}  // namespace kvasir
