#include "serving/routed_request.h"

#include <utility>

#include "scheduling/scheduler.h"
#include "serving/token_estimator.h"
#include "wire/request/prompt_text.h"

namespace kvasir {
namespace {

// Measures the prompt as the engine sees it, and hashes the views that are wanted.
class PromptMeasure final : public PromptSink {
 public:
  explicit PromptMeasure(HashedPrompt::Hasher& hasher) : hasher_(hasher) {}
  void take(std::string_view bytes) override {
    bytes_ += bytes.size();
    hasher_.take(bytes);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  HashedPrompt::Hasher& hasher_;
  uint64_t bytes_ = 0;
};

}  // namespace

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
  HashedPrompt::Hasher hasher(prompt_, scheduler.prompt_views(),
                              prompt_salt(peek->model, peek->cache_salt));
  PromptMeasure measure(hasher);
  write_prompt(*peek, measure);
  hasher.finish();
  request_.prompt_bytes = measure.bytes();
  request_.views = prompt_.views();
  request_.prompt_tokens = peek->prompt_ids.value_or(estimator.estimate(request_.prompt_bytes));
  length_is_estimated_ = !peek->prompt_ids;
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
  request_.views = {};
  request_.headers = {};
  request_.remote_scores = {};
  prompt_.clear();
}

void RoutedRequest::learn_prompt_tokens(uint32_t tokens) {
  if (length_is_estimated_) estimator_.learn(request_.prompt_bytes, tokens);
}

}  // namespace kvasir
