#include "fleet/fleet.h"

#include <utility>

#include "base/assert.h"

namespace kvasir {
namespace {

std::shared_ptr<const Snapshot> first_snapshot(std::vector<Endpoint> endpoints) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->endpoints.reserve(endpoints.size());
  for (Endpoint& endpoint : endpoints) {
    snapshot->endpoints.emplace_back();
    snapshot->endpoints.back().endpoint = std::move(endpoint);
  }
  return snapshot;
}

}  // namespace

Fleet::Fleet(std::vector<Endpoint> endpoints)
    : size_(endpoints.size()), current_(first_snapshot(std::move(endpoints))) {}

std::shared_ptr<const Snapshot> Fleet::snapshot() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

// `change` edits the state it is given and says whether it did.
template <class Change>
void Fleet::publish(EndpointId endpoint, Change&& change) {
  KVASIR_ASSERT(index_of(endpoint) < size_, "the endpoint belongs to this fleet");
  std::lock_guard<std::mutex> lock(mutex_);
  EndpointState state = current_->endpoints[index_of(endpoint)];
  if (!change(state)) return;
  auto next = std::make_shared<Snapshot>(*current_);
  next->endpoints[index_of(endpoint)] = std::move(state);
  current_ = std::move(next);
}

void Fleet::set_healthy(EndpointId endpoint, bool healthy) {
  publish(endpoint, [healthy](EndpointState& state) {
    return std::exchange(state.healthy, healthy) != healthy;
  });
}

void Fleet::set_kv_capacity(EndpointId endpoint, uint64_t tokens) {
  publish(endpoint, [tokens](EndpointState& state) {
    return std::exchange(state.kv_capacity_tokens, tokens) != tokens;
  });
}

void Fleet::set_metrics(std::vector<std::pair<EndpointId, EngineMetrics>> round) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto next = std::make_shared<Snapshot>(*current_);
  for (auto& [endpoint, metrics] : round) {
    KVASIR_ASSERT(index_of(endpoint) < size_, "the endpoint belongs to this fleet");
    next->endpoints[index_of(endpoint)].metrics = std::move(metrics);
  }
  current_ = std::move(next);
}

}  // namespace kvasir
