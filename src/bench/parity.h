// Whether the fleets of two arms are alike: an A/B between unlike ones says nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace kvasir {

class EventLoop;

// What a worker says of itself.
struct WorkerFacts {
  std::string model;                      // the first of /v1/models
  std::optional<uint64_t> max_model_len;  // of that model
  std::string cache_config;  // the labels of vllm:cache_config_info; empty: it has none

  bool operator==(const WorkerFacts&) const = default;
};

// A fleet whose workers are all alike.
struct FleetFacts {
  size_t workers = 0;
  WorkerFacts worker;
};

// What distinguishes `b` from `a`, in words; empty: nothing.
std::string difference(const WorkerFacts& a, const WorkerFacts& b);
std::string difference(const FleetFacts& a, const FleetFacts& b);

// From the bodies of GET /v1/models and GET /metrics.
Result<WorkerFacts> read_worker_facts(std::string_view models, std::string_view metrics);

// Asks every worker for /health, /v1/models and /metrics, running the loop meanwhile. An unhealthy
// worker, or one unlike the first, is an error.
Result<FleetFacts> inspect_fleet(EventLoop& loop, const std::vector<std::string>& worker_urls);

}  // namespace kvasir
