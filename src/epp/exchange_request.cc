// The request side of an exchange: reading it and deciding where it goes.
#include <algorithm>

#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "epp/subset.h"
#include "net/http/http_path.h"
#include "net/io/event_loop.h"
#include "scheduling/decision_trace.h"
#include "wire/request/grpc_request.h"
#include "wire/request/gzip_reader.h"
#include "config/request_parsers.h"

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

// The path as the endpoint will read it: another spelling must not be decided on otherwise. `storage` keeps it when it
// is another than the given one.
Result<std::string_view> normal_path(std::string_view path, std::string& storage) {
  if (!path.starts_with('/') || is_normal_target(path)) return path;
  Result<NormalTarget> normal = normal_target(path);
  if (!normal) return normal.error();
  if (normal->encoded_slash) {
    return Error{"the path has an encoded slash, which can be read in two ways"};
  }
  storage = std::move(normal->target);
  return std::string_view(storage);
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
    return refuse({431, "BadRequest", "", "the request's headers are too large", ""});
  }
  request_id_ = head_.find(kRequestIdHeader);
  phase_ = Phase::kBody;
  body_ended_ = request.end_of_stream;
  if (body_ended_) return decide_without_body();
  if (const size_t length = announced_length(head_.find("content-length"))) {
    if (thread_.take_body_bytes(length)) body_.prepare(length);
  }
  if (defers_headers()) return;
  if (is_whole(protocol_.request_body_mode)) return send_headers_answer(false);
  decide();  // no body will come before this is answered
}

void Exchange::on_request_body(const ExtProcRequest& request) {
  if (body_ended_) {
    if (request.body.empty()) return;  // the end is told twice: there is nothing left to answer
    return fail(GrpcCode::kInvalidArgument, "a body goes on after its end");
  }
  body_ended_ = request.end_of_stream;
  if (phase_ == Phase::kSentOn) return send_body_answer(false);  // STREAMED, decided by the headers
  if (phase_ == Phase::kHeld)
    return fail(GrpcCode::kInvalidArgument, "a body goes on after its end");
  phase_ = Phase::kBody;  // without headers when Envoy is told to skip them
  if (!keep_body(request.body)) return;
  ++unanswered_chunks_;
  if (request.end_of_stream || protocol_.request_body_mode == ExtProcBodyMode::kBufferedPartial)
    decide();
}

void Exchange::on_request_trailers() {
  if (phase_ == Phase::kHeld)
    return;  // of a request whose end was seen: nothing is to be done for them
  if (phase_ == Phase::kSentOn) {
    write_trailers_answer(ExtProcSide::kRequest, {}, thread_.message());
    return call_.send(thread_.message());
  }
  ends_with_trailers_ = body_ended_ = true;
  decide();
}

bool Exchange::keep_body(std::string_view bytes) {
  const size_t before = body_.capacity();
  if (body_.size() + bytes.size() > thread_.options().body_bytes_max) {
    refuse({413, "BadRequest", "", "the request's body is too large", ""});
    return false;
  }
  if (body_.size() + bytes.size() > before) {
    const size_t wanted = std::max(body_.size() + bytes.size(), 2 * before);
    if (!thread_.take_body_bytes(wanted - before)) {
      refuse(
          {429, "ResourceExhausted", "rejected-saturated", "too many request bodies are held", ""});
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
  if (!endpoint) return refuse({500, "Internal", "", "no pods available in datastore", ""});
  decision_.endpoint = *endpoint;
  trace_ = thread_.pool_thread().take_trace();
  report_pick();
  send_decision();
}

void Exchange::decide() {
  whole_ = thread_.now();
  request_bytes_ = body_.size();
  if (!read_body()) return;
  objective_ = head_.find(kObjectiveHeader);
  routed_->set_class(request_class(head_.fields(), thread_.pool().options().priority_of));
  limit_to_subset();
  if (!fetch_) admit();
}

// False: it was refused.
bool Exchange::read_body() {
  const std::string_view path =
      request_path([this](std::string_view name) -> std::optional<std::string_view> {
        return head_.find(name);
      });
  std::string storage;
  const Result<std::string_view> normal = normal_path(path, storage);
  if (!normal) {
    refuse({400, "BadRequest", "", normal.error().message, ""});
    return false;
  }
  const std::optional<RequestRoute> route = thread_.pool_thread().parsers()->find(*normal);
  if (!route) {
    refuse({404, "NotFound", "", "no parser takes this path", ""});
    return false;
  }
  const bool passes = route->parser == RequestParser::kPassthrough;
  const bool names_model = !passes && route->parser != RequestParser::kSglangHttp &&
                           !is_grpc(route->api);
  std::optional<RequestPeek> peek;
  if (body_.size() > 0 && route->api != RequestApi::kOpaque) {
    Result<RequestPeek> read = peek_body(route->api);
    if (read) {
      peek = std::move(*read);
    } else if (!passes) {
      refuse({400, "BadRequest", "", read.error().message, ""});
      return false;
    }
  }
  if (peek && !names_model) model_ = target_model_ = peek->model;  // there may be none
  if (peek && names_model) {
    if (!take_model(*peek)) return false;
    peek->model = target_model_;  // that is whose cache and adapter count
  }
  routed_.emplace(thread_.pool().scheduler(), thread_.pool().estimator(),
                  thread_.pool_thread().next_request_id(), peek, head_.fields());
  if (peek) ask_services(*peek);
  return true;
}

// A compressed body is read in a copy; its bytes go on as they came.
Result<RequestPeek> Exchange::peek_body(RequestApi api) {
  const ContentCoding coding = content_coding(head_.find("content-encoding"));
  if (is_grpc(api)) return read_grpc_request(body_.view(), api);
  if (coding == ContentCoding::kIdentity) return read_request(body_.view(), api);
  InflateLimits limits;
  limits.output_bytes = thread_.options().body_bytes_max;
  Result<std::string> inflated =
      inflate_body(coding, body_.view(), limits, ByteBuffer::kReadablePadding);
  if (!inflated) {
    return Error{"error unmarshaling request bodyMap: " + inflated.error().message};
  }
  inflated_ = std::move(*inflated);
  return read_request(inflated_, api);
}

// Whose model it is, and under which name the endpoint gets it. False: it was refused.
bool Exchange::take_model(const RequestPeek& peek) {
  model_ = peek.model;
  const std::string_view rewritten = head_.find(kModelRewriteHeader);
  target_model_ = rewritten.empty() ? model_ : std::string(rewritten);
  if (target_model_.empty()) {
    refuse({400, "BadRequest", "", kModelNotFound, ""});
    return false;
  }
  if (target_model_ == model_) return true;
  if (!inflated_.empty()) {
    refuse({400, "BadRequest", "", "the model of a compressed body cannot be rewritten", ""});
    return false;
  }
  if (protocol_.request_body_mode == ExtProcBodyMode::kStreamed) {
    refuse({400, "BadRequest", "", "the model of a STREAMED body cannot be rewritten", ""});
    return false;
  }
  rewrite_ = splice_model(body_.view(), peek.model_json, target_model_);
  restorer_ = std::make_unique<ModelRestorer>(target_model_, model_);
  return true;
}

// Of services that the configuration names; the request goes on when they have answered, or not in
// time.
void Exchange::ask_services(const RequestPeek& peek) {
  const auto services = thread_.pool_thread().remote_services();
  if (!services) return;
  phase_ = Phase::kHeld;
  fetch_ = thread_.pool_thread().remote_scores().start(
      *services, peek, thread_.pool().snapshot(), [this](FetchedScores scores) {
        fetched_ = std::move(scores);
        routed_->set_remote_scores(fetched_.view());
        fetch_.reset();
        admit();
      });
}

void Exchange::limit_to_subset() {
  if (!subset_ || thread_.options().subset == SubsetMode::kIgnored) return;
  std::vector<EndpointId> allowed;
  endpoints_in_subset(*thread_.pool().snapshot(), *subset_, thread_.options().subset, allowed);
  routed_->set_allowed(std::move(allowed));
}

// The verdict comes at once or, when the request is held, from whatever thread made room for it.
void Exchange::admit() {
  trace_ = thread_.pool_thread().take_trace();
  routed_->set_trace(trace_.get());
  EventLoop& loop = thread_.loop();
  ticket_ = std::make_shared<AdmissionTicket>(
      *routed_, request_bytes_,
      lifeline_.posting(loop, [this](const Verdict& verdict) { on_verdict(verdict); }),
      lifeline_.posting(loop, [this](FlowOutcome outcome) { on_evicted(outcome); }));
  phase_ = Phase::kHeld;
  const TimePoint begin = thread_.now();
  const std::optional<Verdict> verdict = thread_.pool().admission().admit(ticket_);
  scheduling_ = thread_.now() - begin;
  if (verdict) return on_verdict(*verdict);
  const Duration most = thread_.options().decision_deadline;
  if (most > Duration::zero()) deadline_ = thread_.loop().after(most, [this] { on_deadline(); });
}

void Exchange::on_deadline() {
  deadline_ = kNoTimer;
  // Otherwise its verdict is on its way.
  if (thread_.pool().admission().cancel(*ticket_)) refuse(answer_for(FlowOutcome::kEvictedTtl));
}

void Exchange::on_verdict(const Verdict& verdict) {
  thread_.loop().cancel(std::exchange(deadline_, kNoTimer));
  if (!verdict.dispatched()) return refuse(answer_for(verdict.outcome));
  decision_ = verdict.decision;
  held_ = verdict.held;
  booked_ = true;
  report_pick();
  send_decision();
}

// It must end for the sake of another; too late when its answer is complete.
void Exchange::on_evicted(FlowOutcome outcome) {
  if (booked_) refuse(answer_for(outcome));
}

RequestLabels Exchange::labels() const {
  RequestLabels labels{request_id_, model_, target_model_, "default-flow", objective_, 0};
  if (!routed_) return labels;
  labels.fairness_id = routed_->request().fairness_id;
  labels.priority = routed_->request().priority;
  return labels;
}

void Exchange::report_pick() {
  const std::shared_ptr<const Snapshot> fleet = thread_.pool().snapshot();
  PickReport report{labels(), *fleet, decision_, *trace_};
  report.request_bytes = request_bytes_;
  if (routed_) report.prompt_tokens = routed_->prompt_tokens();
  if (routed_) report.prompt_bytes = routed_->request().prompt_bytes;
  report.prompt_known = !model_.empty();
  report.scheduling = scheduling_;
  report.processing = thread_.now() - whole_;
  report.held = held_;
  thread_.probe().on_picked(report);
  if (thread_.options().emit_scores) {
    scores_.assign(trace_->totals().begin(), trace_->totals().end());
  }
  thread_.pool_thread().give_trace(std::move(trace_));
}

// Tells the client what became of its request, and ends the exchange.
void Exchange::refuse(const FlowAnswer& refusal) {
  RefusalReport report;
  report.labels = labels();
  report.status = refusal.status;
  report.code = refusal.code;
  report.reason = refusal.dropped_reason;
  report.text = refusal.text;
  report.request_bytes = request_bytes_;
  report.scheduling = scheduling_;
  if (!booked_) report.processing = thread_.now() - whole_;
  report.trace = trace_.get();
  thread_.probe().on_refused(report);

  std::string body("inference error: ");
  body.append(refusal.code).append(" - ").append(refusal.text);
  ExtProcImmediate answer;
  answer.status = static_cast<uint32_t>(refusal.status);
  answer.body = body;
  if (!refusal.dropped_reason.empty()) {
    answer.mutation.set.push_back({kDroppedReasonHeader, refusal.dropped_reason});
  }
  write_immediate_answer(answer, thread_.message());
  call_.send(thread_.message());
  finish(GrpcCode::kOk);
}

}  // namespace kvasir
