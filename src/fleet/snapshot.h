// A view of the fleet at one moment.
//
// Copied at every publication, so what seldom changes is shared: a copy of 1,000 endpoints is some
// ten microseconds and no strings.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

// The part of a /metrics page that is no plain number.
struct EngineDetails {
  // LoRA adapters with a request in the batch or in the queue, and how many fit
  // (vllm:lora_requests_info).
  std::vector<std::string> running_adapters;
  std::vector<std::string> waiting_adapters;
  uint32_t adapters_max = 0;
  // Numbers from custom metrics, by the names that the configuration gave them.
  std::map<std::string, double, std::less<>> attributes;
};

// What the endpoint's /metrics page said last. Absent: it did not say, or too long ago.
struct EngineMetrics {
  std::optional<double> waiting;                        // requests queued in the engine
  std::optional<double> running;                        // requests in its batch
  std::optional<double> kv_usage;                       // share of the KV cache in use, 0 to 1
  std::optional<double> gpu_utilization;                // 0 to 1
  std::shared_ptr<const EngineDetails> shared_details;  // null: there are none
  TimePoint read_at{};                                  // on the steady clock; zero: never

  const EngineDetails& details() const {
    static const EngineDetails kNone;
    return shared_details ? *shared_details : kNone;
  }
};

struct EndpointState {
  std::shared_ptr<const Endpoint> endpoint = nobody();  // never null
  bool present = false;    // the slot belongs to `endpoint`; else to nobody any more
  bool healthy = false;    // health checks pass
  bool reachable = false;  // it takes connections, healthy or not: tried when nobody is healthy
  bool ejected = false;    // answered badly lately: picked only when nobody else is left
  EngineMetrics metrics;
  // Capacity of its KV cache in tokens, as its cache_config_info reports; absent until it was read.
  std::optional<uint64_t> kv_capacity_tokens;
  uint64_t joined = 0;       // the generation in which it came, or came back
  uint64_t owned_since = 0;  // the generation in which the slot went from one endpoint to another

  // Who is chosen before whom, best first. One that is kOut is never chosen.
  enum class Rank : uint8_t { kAvailable, kEjected, kReachable, kOut };
  Rank rank() const {
    if (healthy) return ejected ? Rank::kEjected : Rank::kAvailable;
    return reachable ? Rank::kReachable : Rank::kOut;
  }
  // Whether its rank is the best. Without branches: the scheduler asks it of every endpoint for
  // every request.
  bool available() const { return (healthy & !ejected) != 0; }

  static const std::shared_ptr<const Endpoint>& nobody() {
    static const std::shared_ptr<const Endpoint> kNobody = std::make_shared<const Endpoint>();
    return kNobody;
  }
};

// endpoints[i] is slot i, which has EndpointId i.
struct Snapshot {
  std::vector<EndpointState> endpoints;
  uint64_t generation =
      0;  // of the membership: grows when an endpoint comes, goes or is relabelled
};

}  // namespace kvasir
