// The request side of an exchange: reading it and deciding where it goes.
#include <algorithm>

#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "epp/subset.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

// A body announced longer than this is believed as it arrives.
constexpr size_t kAnnouncedBytesMax = 1024 * 1024;

size_t announced_length(std::string_view text) {
  size_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || length > kAnnouncedBytesMax) return 0;
    length = 10 * length + static_cast<size_t>(c - '0');
  }
  return length <= kAnnouncedBytesMax ? length : 0;
}

bool is_whole(ExtProcBodyMode mode) {
  return mode == ExtProcBodyMode::kBuffered || mode == ExtProcBodyMode::kBufferedPartial;
}

}  // namespace

// Whether Envoy lets the body come although the headers are not answered yet.
bool Exchange::defers_headers() const {
  const ExtProcBodyMode mode = protocol_.request_body_mode;
  if (mode == ExtProcBodyMode::kFullDuplexStreamed || mode == ExtProcBodyMode::kGrpc) return true;
  return mode == ExtProcBodyMode::kStreamed && protocol_.body_without_waiting_for_header_response;
}

void Exchange::on_request_headers(const ExtProcRequest& request) {
  if (phase_ != Phase::kHeaders)
    return fail(GrpcCode::kInvalidArgument, "request_headers came twice");
  headers_seen_ = true;
  if (!head_.take(request.headers, thread_.options().header_bytes_max)) {
    return refuse({431, "BadRequest", "", "the request's headers are too large"});
  }
  request_id_ = head_.find(kRequestIdHeader);
  phase_ = Phase::kBody;
  if (request.end_of_stream) return decide_without_body();
  if (const size_t length = announced_length(head_.find("content-length"))) {
    if (thread_.take_body_bytes(length)) body_.prepare(length);
  }
  if (defers_headers()) return;
  if (is_whole(protocol_.request_body_mode)) return send_headers_answer(false);
  decide();  // no body will come before this is answered
}

void Exchange::on_request_body(const ExtProcRequest& request) {
  if (phase_ == Phase::kSentOn) return send_body_answer(false);  // STREAMED, decided by the headers
  phase_ = Phase::kBody;  // without headers when Envoy is told to skip them
  if (!keep_body(request.body)) return;
  ++unanswered_chunks_;
  if (request.end_of_stream || protocol_.request_body_mode == ExtProcBodyMode::kBufferedPartial)
    decide();
}

void Exchange::on_request_trailers() {
  if (phase_ != Phase::kBody) {
    write_trailers_answer(ExtProcSide::kRequest, {}, thread_.message());
    return call_.send(thread_.message());
  }
  ends_with_trailers_ = true;
  decide();
}

bool Exchange::keep_body(std::string_view bytes) {
  const size_t before = body_.capacity();
  if (body_.size() + bytes.size() > thread_.options().body_bytes_max) {
    refuse({413, "BadRequest", "", "the request's body is too large"});
    return false;
  }
  if (body_.size() + bytes.size() > before) {
    const size_t wanted = std::max(body_.size() + bytes.size(), 2 * before);
    if (!thread_.take_body_bytes(wanted - before)) {
      refuse({429, "ResourceExhausted", "rejected-saturated", "too many request bodies are held"});
      return false;
    }
    body_.prepare(wanted - body_.size());
  }
  body_.append(bytes);
  return true;
}

// A GET or the like: any endpoint can answer it.
void Exchange::decide_without_body() {
  whole_ = thread_.now();
  const std::optional<EndpointId> endpoint = thread_.any_endpoint(subset_);
  if (!endpoint) return refuse({500, "Internal", "", "no pods available in datastore"});
  decision_ = {};
  decision_.endpoint = *endpoint;
  report_pick({Refusal::kNone, decision_});
  send_decision();
}

void Exchange::decide() {
  whole_ = thread_.now();
  request_bytes_ = body_.size();
  fairness_id_ = head_.find(kFairnessHeader);
  if (fairness_id_.empty()) fairness_id_ = "default-flow";
  objective_ = head_.find(kObjectiveHeader);
  if (!read_body()) return;
  const Scheduled scheduled = schedule();
  if (!scheduled.ok()) return refuse(scheduled);
  decision_ = scheduled.decision;
  booked_ = true;
  report_pick(scheduled);
  send_decision();
}

// False: it was refused.
bool Exchange::read_body() {
  std::optional<RequestPeek> peek;
  if (body_.size() > 0) {
    peek = thread_.peeker().peek(body_.view());
    if (!peek) {
      refuse({400, "BadRequest", "",
              "error unmarshaling request bodyMap: the body is not a JSON object"});
      return false;
    }
    if (peek->model.empty()) {
      refuse({400, "BadRequest", "", "model not found in request body"});
      return false;
    }
    model_ = peek->model;
  }
  routed_.emplace(thread_.scheduler(), thread_.estimator(), thread_.next_request_id(), peek,
                  head_.fields());
  routed_->set_flow(fairness_id_, priority_);
  return true;
}

Scheduled Exchange::schedule() {
  std::vector<EndpointId>& allowed = thread_.allowed();
  const bool limited = subset_ && thread_.options().subset != SubsetMatch::kOff;
  if (limited)
    endpoints_in_subset(*thread_.snapshot(), *subset_, thread_.options().subset, allowed);
  const TimePoint begin = thread_.now();
  const Scheduled scheduled = routed_->choose_among(
      limited ? std::optional<std::span<const EndpointId>>(allowed) : std::nullopt,
      &thread_.trace());
  scheduling_ = thread_.now() - begin;
  return scheduled;
}

RequestLabels Exchange::labels() const {
  return {request_id_, model_, model_, fairness_id_, objective_, priority_};
}

void Exchange::report_pick(const Scheduled& scheduled) {
  const std::shared_ptr<const Snapshot> fleet = thread_.snapshot();
  PickReport report{labels(), *fleet, scheduled.decision, thread_.trace()};
  report.request_bytes = request_bytes_;
  if (routed_) report.prompt_tokens = routed_->prompt_tokens();
  report.prompt_known = !model_.empty();
  report.scheduling = scheduling_;
  report.processing = thread_.now() - whole_;
  thread_.probe().on_picked(report);
}

void Exchange::refuse(const Scheduled& scheduled) {
  if (scheduled.refusal == Refusal::kNoEndpoints) {
    return refuse({503, "ServiceUnavailable", "rejected-no-endpoints",
                   "failed to find endpoint candidates for serving the request"});
  }
  refuse({429, "ResourceExhausted", "rejected-saturated",
          "no endpoints available for the given request"});
}

void Exchange::refuse(const Refused& refused) {
  RefusalReport report;
  report.labels = labels();
  report.status = refused.status;
  report.code = refused.code;
  report.reason = refused.reason;
  report.text = refused.text;
  report.request_bytes = request_bytes_;
  report.scheduling = scheduling_;
  if (scheduling_ > Duration::zero()) report.trace = &thread_.trace();
  thread_.probe().on_refused(report);

  std::string body("inference error: ");
  body.append(refused.code).append(" - ").append(refused.text);
  ExtProcImmediate answer;
  answer.status = static_cast<uint32_t>(refused.status);
  answer.body = body;
  if (!refused.reason.empty())
    answer.mutation.set.push_back({kDroppedReasonHeader, refused.reason});
  write_immediate_answer(answer, thread_.message());
  call_.send(thread_.message());
  finish(GrpcCode::kOk);
}

}  // namespace kvasir
