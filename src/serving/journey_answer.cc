// What becomes of a journey once it was sent to an endpoint, and its reports.
#include <algorithm>
#include <optional>
#include <utility>

#include "net/http/http_status.h"
#include "scheduling/decision_trace.h"
#include "serving/journey.h"
#include "serving/journey_ticket.h"
#include "serving/pool_thread.h"
#include "wire/request/error_answer.h"

namespace kvasir {
namespace {

// The metrics may have been read since the request's turn began.
std::optional<Duration> metrics_age(const Snapshot& fleet, EndpointId id, TimePoint now) {
  if (index_of(id) >= fleet.endpoints.size()) return std::nullopt;
  const TimePoint read_at = fleet.endpoints[index_of(id)].metrics.read_at;
  if (read_at == TimePoint{}) return std::nullopt;
  return std::max(now - read_at, Duration::zero());
}

}  // namespace

void Journey::answer_begins(int status) {
  status_ = status;
  failed_in_200_ = false;
  const bool done = status >= kHttpOk && status < kHttpRedirects;
  if (resets_cache_ && done) thread_.pool().cache_was_reset(decision_.endpoint, *endpoint_);
}

// Without a byte there is no answer, when a prompt was sent.
bool Journey::look_for_error(std::string_view first_bytes) {
  if (!scheduled_ || status_ != kHttpOk) return false;
  failed_in_200_ = first_bytes.empty() ? request().prompt_bytes > 0 : is_error_answer(first_bytes);
  return failed_in_200_;
}

void Journey::note_first_byte() {
  first_byte_ = thread_.now() - began_;
  // Of an error it says nothing: no prompt was read for it.
  if (!booked_ || status_ >= kHttpErrors || failed_in_200_) return;
  thread_.pool().scheduler().first_token(request().id);
}

// A server error that other endpoints answer with as well is the request's, not theirs.
void Journey::note_answered() {
  if (attempts_ == 0) return;  // somebody else sent it
  if (served_elsewhere_ || status_ >= kHttpServerErrors || failed_in_200_) {
    return conduct_.bad();
  }
  status_ == kHttpTooManyRequests ? conduct_.full() : conduct_.good();
  conduct_.answered();
}

void Journey::answered_by(const Decision& decision, std::shared_ptr<const Endpoint> endpoint) {
  release_booking();
  decision_ = decision;
  endpoint_ = std::move(endpoint);
}

std::span<const ScoredEndpoint> Journey::scores() const {
  return trace_ == nullptr ? std::span<const ScoredEndpoint>() : trace_->totals();
}

std::vector<std::pair<std::string, std::string>> Journey::answer_fields(std::string_view served) {
  std::shared_ptr<const Endpoint> prefill;
  if (decision_.prefill) prefill = endpoint_at(*decision_.prefill);
  return thread_.pool().scheduler().answer_fields(AnswerOrigin{*endpoint_, prefill.get(), served});
}

void Journey::end(Ending ending, int status) {
  if (std::exchange(ended_, true)) return;
  const auto prompt_tokens = usage_.prompt_tokens();
  if (prompt_tokens && request_.length_is_estimated()) {
    thread_.pool().estimator().learn(request().prompt_bytes, *prompt_tokens);
  }
  leave();
  if (started_) report_end(ending, status);
  give_trace();
}

RequestLabels Journey::labels() const {
  RequestLabels labels;
  labels.request_id = names_.request_id;
  labels.model = names_.model.empty() ? request().model : names_.model;
  labels.target_model = names_.target_model.empty() ? request().model : names_.target_model;
  labels.fairness_id = request().fairness_id;
  labels.objective = request_.objective();
  labels.priority = request().priority;
  return labels;
}

void Journey::report_pick(const Snapshot& fleet, TimePoint now) {
  static const DecisionTrace kNone;
  PickReport report{labels(), fleet, decision_, trace_ == nullptr ? kNone : *trace_};
  report.attempt = attempts_;
  report.request_bytes = body_bytes_;
  report.prompt_tokens = request().prompt_tokens;
  report.prompt_bytes = request().prompt_bytes;
  report.prompt_known = !report.labels.model.empty();
  report.scheduling = scheduling_;
  report.processing = now - whole_;
  report.held = held_;
  report.metrics_age = metrics_age(fleet, decision_.endpoint, now);
  thread_.pool().probe().on_picked(report);
}

void Journey::refused(const JourneyRefusal& refusal) {
  RefusalReport report;
  report.labels = labels();
  report.refusal = refusal;
  report.scheduling = scheduling_;
  if (attempts_ == 0) report.processing = thread_.now() - whole_;
  report.trace = trace_.get();
  thread_.pool().probe().on_refused(report);
}

void Journey::report_end(Ending ending, int status) {
  EndReport report;
  report.labels = labels();
  report.endpoint = endpoint_.get();
  if (prefills_ != nullptr && prefills_->answered) {
    report.prefill = prefills_->legs[*prefills_->answered].endpoint.get();
    report.prefill_time = prefills_->time;
  }
  report.scheduled = scheduled_;
  report.streaming = streaming_;
  report.status = status;
  report.ending = ending;
  report.total = thread_.now() - began_;
  report.first_byte = first_byte_;
  report.preparing = preparing_;
  report.scheduling = scheduling_;
  report.held = held_;
  report.processing = processing_;
  report.answer_bytes = answer_bytes_;
  report.prompt_tokens = usage_.prompt_tokens();
  report.completion_tokens = usage_.completion_tokens();
  report.cached_tokens = usage_.cached_tokens();
  // The usage says nothing of a prefiller's cache, nor of one whose endpoint did not answer.
  const bool its_own = !decision_.prefill && prefills_ == nullptr && !served_elsewhere_;
  if (decision_.cached_exactly && its_own) {
    report.predicted_cached_tokens = decision_.cached_tokens;
  }
  thread_.pool().probe().on_ended(report);
}

}  // namespace kvasir
