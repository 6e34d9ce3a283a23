// The prefill legs of a journey.
#include <utility>

#include "scheduling/scheduler.h"
#include "serving/journey.h"
#include "serving/pool_thread.h"

namespace kvasir {

std::optional<size_t> Journey::begin_prefill() {
  if (prefills_ == nullptr) {
    prefills_ = std::make_unique<Prefills>();
    request_.set_part(RequestPart::kAnswer);  // what another decision would be about
    Prefills::Leg leg;
    leg.id = *decision_.prefill;
    leg.endpoint = endpoint_at(leg.id);
    leg.cached_tokens = decision_.cached_tokens;
    leg.cached_exactly = decision_.cached_exactly;
    prefills_->legs.push_back(std::move(leg));
  } else {
    std::optional<Prefills::Leg> leg = pick_prefill();
    if (!leg) return std::nullopt;
    prefills_->legs.push_back(std::move(*leg));
  }
  thread_.pool().probe().on_routed(*prefills_->legs.back().endpoint);
  return prefills_->legs.size() - 1;
}

// Under an id of its own: it may run beside another one, and both beside the leg that decodes.
std::optional<Journey::Prefills::Leg> Journey::pick_prefill() {
  std::vector<EndpointId> tried = {decision_.endpoint};
  for (const Prefills::Leg& leg : prefills_->legs) tried.push_back(leg.id);
  Request prompt = request();
  prompt.id = thread_.next_request_id();
  prompt.part = RequestPart::kPrompt;
  Choice choice{tried, std::nullopt, nullptr};
  if (allowed_) choice.allowed = *allowed_;
  const Scheduled scheduled = thread_.pool().scheduler().schedule_among(prompt, choice);
  if (!scheduled.ok()) return std::nullopt;
  expect_cached(scheduled.decision);
  Prefills::Leg leg;
  leg.id = scheduled.decision.endpoint;
  leg.endpoint = endpoint_at(leg.id);
  leg.booking = prompt.id;
  leg.cached_tokens = scheduled.decision.cached_tokens;
  leg.cached_exactly = scheduled.decision.cached_exactly;
  return leg;
}

void Journey::end_prefill(size_t index) {
  Prefills::Leg& leg = prefills_->legs[index];
  if (!std::exchange(leg.underway, false)) return;
  Scheduler& scheduler = thread_.pool().scheduler();
  if (leg.booking != 0) {
    scheduler.ended(leg.booking);
  } else if (booked_) {
    scheduler.prefill_ended(request().id);
  }
  thread_.pool().probe().on_released(*leg.endpoint);
}

void Journey::end_prefills() {
  if (prefills_ == nullptr) return;
  for (size_t i = 0; i < prefills_->legs.size(); ++i) end_prefill(i);
}

void Journey::prefilled(size_t index, Duration time) {
  const Prefills::Leg& leg = prefills_->legs[index];
  prefills_->answered = index;
  prefills_->time = time;
  decision_.prefill = leg.id;
  decision_.cached_tokens = leg.cached_tokens;
  decision_.cached_exactly = leg.cached_exactly;
}

void Journey::prefill_together() {
  request_.set_part(RequestPart::kTogether);
  if (prefills_ != nullptr) {
    prefills_->answered.reset();
  } else if (booked_) {
    thread_.pool().scheduler().prefill_ended(request().id);
  }
  decision_.prefill.reset();
  decision_.cached_tokens = 0;
  decision_.cached_exactly = false;
  const CachedPrefix* known = request().known_prefix(decision_.endpoint);
  if (known == nullptr) return;
  decision_.cached_tokens = known->usable_tokens(request().prompt_tokens);
  decision_.cached_exactly = true;
}

}  // namespace kvasir
