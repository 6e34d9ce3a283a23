// The endpoints a gateway or picker may choose from, and what is known of each.
//
// Thread-safe. Readers take a Snapshot, which never changes; writers publish a new one.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "model/endpoint.h"

namespace kvasir {

struct EndpointState {
  Endpoint endpoint;
  bool healthy = false;  // health checks pass; an unhealthy endpoint is never picked
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

 private:
  template <class Change>
  void publish(EndpointId endpoint, Change&& change);

  const size_t size_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> current_;
};

}  // namespace kvasir
