// The endpoints a gateway or picker may choose from, and what is known of each.
//
// Thread-safe. Readers take a Snapshot, which never changes; writers publish a new one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

// What the endpoint's /metrics page said last. Absent: it did not say.
struct EngineMetrics {
  std::optional<double> waiting;   // requests queued in the engine
  std::optional<double> running;   // requests in its batch
  std::optional<double> kv_usage;  // share of the KV cache in use, 0 to 1
  std::optional<double> gpu_utilization;  // 0 to 1
  // LoRA adapters with a request in the batch or in the queue, and how many fit (vllm:lora_requests_info).
  std::vector<std::string> running_adapters;
  std::vector<std::string> waiting_adapters;
  uint32_t adapters_max = 0;
  // Numbers from custom metrics, by the names that the configuration gave them.
  std::map<std::string, double, std::less<>> attributes;
  TimePoint read_at{};  // on the steady clock; zero: never
};

struct EndpointState {
  Endpoint endpoint;
  bool healthy = false;  // health checks pass; an unhealthy endpoint is never picked
  EngineMetrics metrics;
  // Capacity of its KV cache in tokens, as its cache_config_info reports; absent until it was read.
  std::optional<uint64_t> kv_capacity_tokens;
};

// endpoints[i] has EndpointId i.
struct Snapshot {
  std::vector<EndpointState> endpoints;
};

class Fleet {
 public:
  explicit Fleet(std::vector<Endpoint> endpoints);

  std::shared_ptr<const Snapshot> snapshot() const;
  size_t size() const { return size_; }

  // Both ignore a value that is already there.
  void set_healthy(EndpointId endpoint, bool healthy);
  void set_kv_capacity(EndpointId endpoint, uint64_t tokens);
  // One publication for a whole scraping round. Endpoints that are not named keep what they had.
  void set_metrics(std::vector<std::pair<EndpointId, EngineMetrics>> round);

 private:
  template <class Change>
  void publish(EndpointId endpoint, Change&& change);

  const size_t size_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;
};

}  // namespace kvasir
