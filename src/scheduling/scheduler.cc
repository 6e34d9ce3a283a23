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

template <class Eligible>
void collect(const Snapshot& fleet, const Choice& choice, Eligible&& eligible,
             std::vector<EndpointId>& candidates) {
  candidates.clear();
  if (choice.allowed) {
    for (const EndpointId id : *choice.allowed) {
      const bool known = index_of(id) < fleet.endpoints.size();
      if (!known || !eligible(fleet.endpoints[index_of(id)])) continue;
      if (!stands_in(id, choice.tried)) candidates.push_back(id);
    }
    return;
  }
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointId id{i};
    if (!eligible(fleet.endpoints[i])) continue;
    if (!stands_in(id, choice.tried)) candidates.push_back(id);
  }
}

bool any_is_healthy(const Snapshot& fleet, const Choice& choice) {
  const auto is_healthy = [](const EndpointState& state) { return state.healthy; };
  if (!choice.allowed) {
    return std::any_of(fleet.endpoints.begin(), fleet.endpoints.end(), is_healthy);
  }
  return std::any_of(choice.allowed->begin(), choice.allowed->end(), [&](EndpointId id) {
    return index_of(id) < fleet.endpoints.size() && is_healthy(fleet.endpoints[index_of(id)]);
  });
}

// Ejected endpoints are better than none. Unhealthy ones are when nobody is healthy, tried or not:
// who failed a request has shown at least that it answers.
void collect_candidates(const Snapshot& fleet, const Choice& choice,
                        std::vector<EndpointId>& candidates) {
  using Rank = EndpointState::Rank;
  collect(fleet, choice, [](const EndpointState& state) { return state.available(); }, candidates);
  if (!candidates.empty()) return;
  collect(
      fleet, choice, [](const EndpointState& state) { return state.rank() == Rank::kEjected; },
      candidates);
  if (!candidates.empty() || any_is_healthy(fleet, choice)) return;
  collect(
      fleet, choice, [](const EndpointState& state) { return state.rank() == Rank::kReachable; },
      candidates);
}

}  // namespace

Scheduler::Scheduler(const Fleet& fleet, std::unique_ptr<Policy> policy, const Clock& clock)
    : fleet_(fleet), clock_(clock), policy_(std::move(policy)) {
  put_to_work();
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
    if (std::exchange(owned_since_[i], since) == since) continue;
    knowledge_.endpoint_replaced(EndpointId(i));
    policy_->endpoint_replaced(EndpointId(i));
    std::erase_if(avoided_, [i](const Avoided& avoided) { return index_of(avoided.endpoint) == i; });
  }
  return fleet;
}

Scheduled Scheduler::schedule_among(const Request& request, const Choice& choice) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = follow_fleet();
  collect_candidates(*fleet, choice, candidates_);
  if (candidates_.empty()) {
    if (choice.trace != nullptr) choice.trace->begin(0);
    return {Refusal::kNoEndpoints, {}};
  }
  // The clock is read under the mutex, so the policy sees time in the order of its calls.
  const TimePoint now = clock_.now();
  left_out_.clear();
  if (!avoided_.empty()) leave_out_avoided(now);
  if (choice.trace != nullptr) {
    choice.trace->begin(static_cast<uint32_t>(candidates_.size() + left_out_.size()));
  }
  PickContext context{request, *fleet, candidates_, now, choice.trace, left_out_};
  std::optional<Decision> decision = policy_->pick(context);
  // Its filters may leave only some that are no candidates for now, as the only one that prefills.
  if (!decision && policy_->refusal() == Refusal::kFiltered && take_all_ranks(*fleet, choice)) {
    context.candidates = candidates_;
    context.avoided = {};
    context.widened = true;
    context.tried = choice.tried;
    decision = policy_->pick(context);
  }
  if (!decision) return {policy_->refusal(), {}};
  KVASIR_ASSERT(std::binary_search(candidates_.begin(), candidates_.end(), decision->endpoint),
                "a policy names one of the candidates");
  return {Refusal::kNone, *decision};
}

// False: they were candidates already.
bool Scheduler::take_all_ranks(const Snapshot& fleet, const Choice& choice) {
  using Rank = EndpointState::Rank;
  const size_t before = candidates_.size();
  collect(
      fleet, choice, [](const EndpointState& state) { return state.rank() < Rank::kOut; },
      candidates_);
  return candidates_.size() > before;
}

void Scheduler::forget_cache(EndpointId endpoint) {
  std::lock_guard<std::mutex> lock(mutex_);
  knowledge_.forget(endpoint);
}

void Scheduler::avoid(EndpointId endpoint, Duration time) {
  std::lock_guard<std::mutex> lock(mutex_);
  const TimePoint until = clock_.now() + time;
  for (Avoided& avoided : avoided_) {
    if (avoided.endpoint != endpoint) continue;
    avoided.until = std::max(avoided.until, until);
    return;
  }
  avoided_.push_back({endpoint, until});
}

void Scheduler::leave_out_avoided(TimePoint now) {
  std::erase_if(avoided_, [now](const Avoided& avoided) { return avoided.until <= now; });
  for (const Avoided& avoided : avoided_) {
    if (stands_in(avoided.endpoint, candidates_)) left_out_.push_back(avoided.endpoint);
  }
  // Too many to be only theirs: then the rest would have to bear all of the load.
  if (2 * left_out_.size() > candidates_.size()) return left_out_.clear();
  std::erase_if(candidates_, [this](EndpointId id) { return stands_in(id, left_out_); });
}

bool Scheduler::has_healthy(const Choice& choice) {
  using Rank = EndpointState::Rank;
  std::lock_guard<std::mutex> lock(mutex_);
  collect(
      *follow_fleet(), choice,
      [this](const EndpointState& state) {
        return state.rank() <= Rank::kEjected && policy_->may_answer(*state.endpoint);
      },
      candidates_);
  return !candidates_.empty();
}

AnswerFields Scheduler::answer_fields(const AnswerOrigin& origin) {
  AnswerFields fields;
  std::lock_guard<std::mutex> lock(mutex_);
  policy_->add_answer_fields(origin, fields);
  return fields;
}

std::vector<PluginReading> Scheduler::plugin_readings() {
  std::lock_guard<std::mutex> lock(mutex_);
  return policy_->readings();
}

void Scheduler::replace_policy(std::unique_ptr<Policy> policy) {
  std::lock_guard<std::mutex> lock(mutex_);
  policy->inherit(*policy_);
  policy_.swap(policy);
  put_to_work();
}

void Scheduler::put_to_work() {
  knowledge_.share(policy_->prefix_indexes());
  const BlockSizes sizes = policy_->prompt_views();
  for (size_t i = 0; i < kPromptViewsMost; ++i) {
    prompt_views_[i] = i < sizes.size() ? sizes.begin()[i] : BlockSize{};
  }
  watches_answers_ = policy_->watches_answers();
}

BlockSizes Scheduler::prompt_views() const {
  BlockSizes sizes;
  for (const std::atomic<BlockSize>& view : prompt_views_) {
    const BlockSize size = view.load(std::memory_order_relaxed);
    if (size.units == 0) break;
    sizes.add(size);
  }
  return sizes;
}

SharedState Scheduler::export_shared(const SharedExport& wanted) {
  std::lock_guard<std::mutex> lock(mutex_);
  return policy_->export_shared(wanted, clock_.now());
}

void Scheduler::import_shared(const SharedState& state) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = follow_fleet();
  policy_->import_shared(state, *fleet, clock_.now());
}

PoolSaturation Scheduler::saturation() {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = follow_fleet();
  collect_candidates(*fleet, {}, candidates_);
  if (candidates_.empty()) return {};
  PoolSaturation saturation = policy_->saturation(PoolContext{*fleet, candidates_, clock_.now()});
  saturation.endpoints = candidates_.size();
  return saturation;
}

Duration Scheduler::predicted_prefill(const Request& request) {
  std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<const Snapshot> fleet = follow_fleet();
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

void Scheduler::prefill_ended(RequestId request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    policy_->prefill_ended(request, clock_.now());
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
