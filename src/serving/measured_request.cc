#include "serving/measured_request.h"

#include <utility>

#include "kvindex/exact_caches.h"
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

void MeasuredRequest::read(const Scheduler& scheduler, const TokenEstimator& estimator,
                           RequestId id, const std::optional<RequestPeek>& peek,
                           std::span<const RequestHeader> headers) {
  request_.id = id;
  request_.headers = headers;
  if (!peek) return;
  model_ = peek->model;
  cache_salt_ = peek->cache_salt;
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

void MeasuredRequest::set_class(RequestClass request_class) {
  class_ = std::move(request_class);
  request_.fairness_id = class_.fairness_id;
  request_.priority = class_.priority;
}

void MeasuredRequest::set_tokens(std::shared_ptr<const std::vector<uint32_t>> tokens,
                                 const ExactCaches* caches, std::span<const uint32_t> block_sizes) {
  request_.prompt_tokens = static_cast<uint32_t>(tokens->size());
  if (caches == nullptr || block_sizes.empty()) return;
  exact_ = std::make_unique<ExactPrompt>(std::move(tokens), caches->root(model_, cache_salt_),
                                         block_sizes);
  request_.chains = exact_->chains();
}

void MeasuredRequest::match(const ExactCaches& caches, const Snapshot& fleet) {
  if (exact_ != nullptr) request_.cached = exact_->match(caches, fleet);
}

void MeasuredRequest::release_prompt() {
  request_.views = {};
  request_.chains = {};
  request_.cached = {};
  exact_.reset();
  request_.headers = {};
  request_.remote_scores = {};
  prompt_.clear();
}

}  // namespace kvasir
