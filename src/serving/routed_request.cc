#include "serving/routed_request.h"

#include <utility>

#include "hashing/prompt_blocks.h"
#include "scheduling/scheduler.h"
#include "serving/token_estimator.h"

namespace kvasir {

RoutedRequest::RoutedRequest(Scheduler& scheduler, TokenEstimator& estimator, RequestId id,
                             const std::optional<RequestPeek>& peek,
                             std::span<const RequestHeader> headers)
    : scheduler_(scheduler), estimator_(estimator) {
  request_.id = id;
  request_.headers = headers;
  if (!peek) return;
  model_ = peek->model;
  request_.model = model_;
  request_.first_token_visible = peek->stream;
  request_.prompt_bytes = peek->prompt.size();
  request_.prompt_tokens = peek->prompt_ids.value_or(estimator.estimate(request_.prompt_bytes));
  length_is_estimated_ = !peek->prompt_ids;
  if (const size_t block_bytes = scheduler.prompt_bytes_per_block(); block_bytes > 0) {
    hash_prompt_blocks(peek->prompt, prompt_salt(peek->model, peek->cache_salt), block_bytes, blocks_);
    request_.blocks = blocks_;
  }
}

RoutedRequest::~RoutedRequest() { ended(); }

std::optional<Decision> RoutedRequest::choose() {
  ended();
  first_token_seen_ = false;
  Choice choice{tried_, std::nullopt, trace_};
  if (allowed_) choice.allowed = *allowed_;
  const Scheduled scheduled = scheduler_.schedule_among(request_, choice);
  refusal_ = scheduled.refusal;
  if (!scheduled.ok()) return std::nullopt;
  chosen_ = scheduled.decision.endpoint;
  booked_ = true;
  return scheduled.decision;
}

void RoutedRequest::set_class(RequestClass request_class) {
  class_ = std::move(request_class);
  request_.fairness_id = class_.fairness_id;
  request_.priority = class_.priority;
}

void RoutedRequest::exclude_chosen() { tried_.push_back(chosen_); }

bool RoutedRequest::has_other() {
  tried_.push_back(chosen_);
  Choice choice{tried_, std::nullopt, nullptr};
  if (allowed_) choice.allowed = *allowed_;
  const bool other = scheduler_.has_healthy(choice);
  tried_.pop_back();
  return other;
}

void RoutedRequest::first_token() {
  if (!booked_ || first_token_seen_) return;
  first_token_seen_ = true;
  scheduler_.first_token(request_.id);
}

void RoutedRequest::ended() {
  if (!booked_) return;
  booked_ = false;
  scheduler_.ended(request_.id);
}

void RoutedRequest::release_prompt() {
  request_.blocks = {};
  request_.headers = {};
  request_.remote_scores = {};
  blocks_ = {};
}

void RoutedRequest::learn_prompt_tokens(uint32_t tokens) {
  if (length_is_estimated_) estimator_.learn(request_.prompt_bytes, tokens);
}

}  // namespace kvasir
