#include "scheduling/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

template <class Eligible>
void collect(const Snapshot& fleet, std::span<const EndpointId> tried, Eligible&& eligible,
             std::vector<EndpointId>& candidates) {
  candidates.clear();
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointId id{i};
    if (!eligible(fleet.endpoints[i])) continue;
    if (std::find(tried.begin(), tried.end(), id) == tried.end()) candidates.push_back(id);
  }
}

// Ejected endpoints are better than none.
void collect_candidates(const Snapshot& fleet, std::span<const EndpointId> tried,
                        std::vector<EndpointId>& candidates) {
  collect(fleet, tried, [](const EndpointState& state) { return state.available(); }, candidates);
  if (!candidates.empty()) return;
  collect(
      fleet, tried,
      [](const EndpointState& state) { return state.healthy && !state.draining; }, candidates);
}

}  // namespace

Scheduler::Scheduler(const Fleet& fleet, std::unique_ptr<Policy> policy, const Clock& clock)
    : fleet_(fleet),
      clock_(clock),
      prompt_bytes_per_block_(policy->prompt_bytes_per_block()),
      policy_(std::move(policy)) {
  const std::shared_ptr<const Snapshot> now = fleet.snapshot();
  generation_ = now->generation;
  for (const EndpointState& state : now->endpoints) owned_since_.push_back(state.owned_since);
  candidates_.reserve(fleet.size());
}

Scheduler::~Scheduler() = default;

// The snapshot is taken under the mutex, so the policy sees memberships in their order.
std::shared_ptr<const Snapshot> Scheduler::follow_fleet() {
  std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  if (fleet->generation == generation_) return fleet;
  generation_ = fleet->generation;
  for (uint32_t i = 0; i < fleet->endpoints.size(); ++i) {
    const uint64_t since = fleet->endpoints[i].owned_since;
    if (std::exchange(owned_since_[i], since) != since) policy_->endpoint_replaced(EndpointId(i));
  }
  return fleet;
}

Scheduled Scheduler::schedule(const Request& request, std::span<const EndpointId> tried) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = follow_fleet();
  collect_candidates(*fleet, tried, candidates_);
  if (candidates_.empty()) return {Refusal::kNoEndpoints, {}};
  // The clock is read under the mutex, so the policy sees time in the order of its calls.
  const std::optional<Decision> decision = policy_->pick(
      PickContext{request, *fleet, std::span<const EndpointId>(candidates_), clock_.now()});
  if (!decision) return {Refusal::kFiltered, {}};
  KVASIR_ASSERT(std::binary_search(candidates_.begin(), candidates_.end(), decision->endpoint),
                "a policy names one of the candidates");
  return {Refusal::kNone, *decision};
}

void Scheduler::first_token(RequestId request) {
  std::lock_guard<std::mutex> lock(mutex_);
  policy_->first_token(request, clock_.now());
}

void Scheduler::ended(RequestId request) {
  std::lock_guard<std::mutex> lock(mutex_);
  policy_->ended(request, clock_.now());
}

}  // namespace kvasir
