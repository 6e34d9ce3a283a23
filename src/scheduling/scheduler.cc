#include "scheduling/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

void collect_candidates(const Snapshot& fleet, std::span<const EndpointId> tried,
                        std::vector<EndpointId>& candidates) {
  candidates.clear();
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointId id{i};
    if (!fleet.endpoints[i].healthy) continue;
    if (std::find(tried.begin(), tried.end(), id) == tried.end()) candidates.push_back(id);
  }
}

}  // namespace

Scheduler::Scheduler(const Fleet& fleet, std::unique_ptr<Policy> policy, const Clock& clock)
    : fleet_(fleet),
      clock_(clock),
      prompt_bytes_per_block_(policy->prompt_bytes_per_block()),
      policy_(std::move(policy)) {
  candidates_.reserve(fleet.size());
}

Scheduler::~Scheduler() = default;

Scheduled Scheduler::schedule(const Request& request, std::span<const EndpointId> tried) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  collect_candidates(*fleet, tried, candidates_);
  if (candidates_.empty()) return {Refusal::kNoEndpoints, {}};
  // The clock is read under the mutex, so the policy sees time in the order of its calls.
  const std::optional<Decision> decision = policy_->pick(
      PickContext{request, *fleet, std::span<const EndpointId>(candidates_), clock_.now()});
  if (!decision) return {policy_->refusal(), {}};
  KVASIR_ASSERT(std::binary_search(candidates_.begin(), candidates_.end(), decision->endpoint),
                "a policy names one of the candidates");
  return {Refusal::kNone, *decision};
}

PoolSaturation Scheduler::saturation() {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  collect_candidates(*fleet, {}, candidates_);
  if (candidates_.empty()) return {};
  PoolSaturation saturation = policy_->saturation(PoolContext{*fleet, candidates_, clock_.now()});
  saturation.endpoints = candidates_.size();
  return saturation;
}

Duration Scheduler::predicted_prefill(const Request& request) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  collect_candidates(*fleet, {}, candidates_);
  if (candidates_.empty()) return Duration::zero();
  return policy_->predicted_prefill(
      PickContext{request, *fleet, std::span<const EndpointId>(candidates_), clock_.now()});
}

void Scheduler::first_token(RequestId request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    policy_->first_token(request, clock_.now());
  }
  if (released_) released_();
}

void Scheduler::ended(RequestId request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    policy_->ended(request, clock_.now());
  }
  if (released_) released_();
}

}  // namespace kvasir
