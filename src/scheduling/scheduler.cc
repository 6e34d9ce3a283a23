#include "scheduling/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "scheduling/decision_trace.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

bool stands_in(EndpointId id, std::span<const EndpointId> list) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

void collect_candidates(const Snapshot& fleet, const Choice& choice,
                        std::vector<EndpointId>& candidates) {
  candidates.clear();
  if (choice.allowed) {
    for (const EndpointId id : *choice.allowed) {
      const bool known = index_of(id) < fleet.endpoints.size();
      if (known && fleet.endpoints[index_of(id)].healthy && !stands_in(id, choice.tried)) {
        candidates.push_back(id);
      }
    }
    return;
  }
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointId id{i};
    if (!fleet.endpoints[i].healthy) continue;
    if (!stands_in(id, choice.tried)) candidates.push_back(id);
  }
}

}  // namespace

Scheduler::Scheduler(const Fleet& fleet, std::unique_ptr<Policy> policy, const Clock& clock)
    : fleet_(fleet),
      clock_(clock),
      prompt_bytes_per_block_(policy->prompt_bytes_per_block()),
      watches_answers_(policy->watches_answers()),
      policy_(std::move(policy)) {
  candidates_.reserve(fleet.size());
}

Scheduler::~Scheduler() = default;

Scheduled Scheduler::schedule_among(const Request& request, const Choice& choice) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  collect_candidates(*fleet, choice, candidates_);
  if (choice.trace != nullptr) choice.trace->begin(static_cast<uint32_t>(candidates_.size()));
  if (candidates_.empty()) return {Refusal::kNoEndpoints, {}};
  // The clock is read under the mutex, so the policy sees time in the order of its calls.
  const std::optional<Decision> decision = policy_->pick(PickContext{
      request, *fleet, std::span<const EndpointId>(candidates_), clock_.now(), choice.trace});
  if (!decision) return {Refusal::kFiltered, {}};
  KVASIR_ASSERT(std::binary_search(candidates_.begin(), candidates_.end(), decision->endpoint),
                "a policy names one of the candidates");
  return {Refusal::kNone, *decision};
}

std::vector<std::pair<std::string, std::string>> Scheduler::answer_fields(
    const Endpoint& endpoint) {
  std::vector<std::pair<std::string, std::string>> fields;
  std::lock_guard<std::mutex> lock(mutex_);
  policy_->add_answer_fields(endpoint, fields);
  return fields;
}

void Scheduler::replace_policy(std::unique_ptr<Policy> policy) {
  std::lock_guard<std::mutex> lock(mutex_);
  policy->inherit(*policy_);
  policy_.swap(policy);
  prompt_bytes_per_block_ = policy_->prompt_bytes_per_block();
  watches_answers_ = policy_->watches_answers();
}

SharedState Scheduler::export_shared(const SharedExport& wanted) {
  std::lock_guard<std::mutex> lock(mutex_);
  return policy_->export_shared(wanted, clock_.now());
}

void Scheduler::import_shared(const SharedState& state) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  policy_->import_shared(state, *fleet, clock_.now());
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
