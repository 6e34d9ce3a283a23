#include "bench/live_request.h"

#include <algorithm>

#include "base/random.h"
#include "base/text.h"
#include "bench/workload.h"

namespace kvasir {
namespace {

bool is_event_stream(const HttpHead& head) {
  constexpr std::string_view kType = "text/event-stream";
  const auto type = head.find("content-type");
  return type && equal_ignoring_case(type->substr(0, kType.size()), kType);
}

std::string_view reason_of(HttpFailure::Kind kind) {
  switch (kind) {
    case HttpFailure::Kind::kConnect:
      return "cannot connect";
    case HttpFailure::Kind::kClosed:
      return "connection lost";
    case HttpFailure::Kind::kFirstByteTimeout:
    case HttpFailure::Kind::kIdleTimeout:
      return "timeout";
    case HttpFailure::Kind::kMalformed:
      return "malformed answer";
  }
  return "transport";
}

}  // namespace

LiveRequest::LiveRequest(EventLoop& loop, ReplayTarget& target, const ReplayOptions& options,
                         Owner& owner, const TraceRow& row, size_t row_number, TimePoint start,
                         TimePoint due)
    : loop_(loop),
      target_(target),
      options_(options),
      owner_(owner),
      row_(row),
      start_(start),
      due_(due) {
  outcome_.row = row_number;
  outcome_.request_id = options.request_id_prefix + std::to_string(row_number);
  outcome_.intended_ms = trace_ms(due);
}

LiveRequest::~LiveRequest() {
  loop_.cancel(timer_);
  if (call_ != nullptr) call_->cancel();
}

void LiveRequest::send() {
  body_ = completion_body(row_, outcome_.row, options_.completion);
  head_ = completion_head(target_.origin, row_, outcome_.request_id, body_.size());
  const TimePoint sent = loop_.clock().now();
  if (timer_ == kNoTimer) {
    outcome_.sent_ms = trace_ms(sent);
    const Duration timeout = bounded_duration(to_seconds(options_.timeout) / options_.time_scale);
    timer_ = loop_.after(due_ + timeout - sent, [this] { on_timeout(); });
  }
  call_ = &target_.client.start(head_, body_, *this);
}

bool LiveRequest::free_sent_bytes() {
  if (call_ == nullptr || !call_->request_sent()) return false;
  std::string().swap(head_);
  std::string().swap(body_);
  return true;
}

void LiveRequest::on_head(const HttpHead& head) {
  outcome_.status = head.status();
  outcome_.endpoint = head.find("x-selected-pod").value_or("");
  event_stream_ = head.status() == 200 && is_event_stream(head);
}

void LiveRequest::on_body(std::string_view bytes) {
  if (!event_stream_) {
    const size_t room = kErrorBodyBytesMax - error_body_.size();
    error_body_ += bytes.substr(0, std::min(bytes.size(), room));
    return;
  }
  now_ = loop_.clock().now();
  if (scanner_.feed(bytes, *this)) return;
  note_failure("malformed answer", "an event of the stream is too long");
  call_->cancel();
  finish();
}

void LiveRequest::on_event(std::string_view data) {
  if (done_) return;
  const Result<AnswerPart> part = read_stream_event(data);
  if (!part) return note_failure("malformed answer", part.error().message);
  done_ = part->done;
  if (part->usage) usage_ = part->usage;
  if (part->error) note_failure("error in the stream", part->error->message);
  if (!part->text.empty()) on_text(part->text);
}

void LiveRequest::on_text(std::string_view text) {
  if (!first_text_) first_text_ = now_;
  last_text_ = now_;
  for (const char byte : text) {
    outcome_.answer_hash = mix64(outcome_.answer_hash ^ static_cast<unsigned char>(byte));
  }
}

void LiveRequest::on_end() {
  judge_answer();
  finish();
}

void LiveRequest::on_failure(const HttpFailure& failure) {
  note_failure(std::string(reason_of(failure.kind)), failure.message);
  finish();
}

void LiveRequest::on_timeout() {
  timer_ = kNoTimer;
  call_->cancel();
  note_failure("timeout",
               first_text_ ? "the answer was not complete in time" : "no text came in time");
  finish();
}

void LiveRequest::note_failure(std::string reason, std::string detail) {
  if (!outcome_.ok()) return;
  outcome_.error = std::move(reason);
  outcome_.error_detail = std::move(detail);
}

void LiveRequest::judge_answer() {
  if (outcome_.status != 200) return judge_refusal();
  if (!event_stream_) return note_failure("not an event stream", error_body_.substr(0, 200));
  if (!done_) return note_failure("no [DONE]", "the stream ended without it");
  judge_usage();
}

void LiveRequest::judge_usage() {
  if (!usage_) return note_failure("no usage", "the stream did not tell its token counts");
  // What a text or a chat comes to is the server's own business: it may have another vocabulary.
  const bool made_up = row_.text.empty() && row_.messages.empty();
  if (made_up && usage_->prompt_tokens != row_.input_length) {
    note_failure("count mismatch", "prompt tokens: sent " + std::to_string(row_.input_length) +
                                       ", counted " + std::to_string(usage_->prompt_tokens));
  }
  if (usage_->completion_tokens != row_.output_length) {
    note_failure("count mismatch", "output tokens: asked " + std::to_string(row_.output_length) +
                                       ", counted " + std::to_string(usage_->completion_tokens));
  }
  if (!first_text_) note_failure("no text", "the stream brought no text");
}

void LiveRequest::judge_refusal() {
  const Result<AnswerPart> answer = parse_answer(error_body_);
  const bool told = answer && answer->error;
  note_failure("HTTP " + std::to_string(outcome_.status),
               told ? answer->error->message : error_body_.substr(0, 200));
}

void LiveRequest::finish() {
  call_ = nullptr;
  loop_.cancel(timer_);
  outcome_.end_ms = trace_ms(loop_.clock().now());
  outcome_.latency_ms = outcome_.end_ms - outcome_.intended_ms;
  if (first_text_) {
    outcome_.ttft_ms = trace_ms(*first_text_) - outcome_.intended_ms;
    if (outcome_.ok()) outcome_.latency_ms = trace_ms(last_text_) - outcome_.intended_ms;
  }
  if (usage_) {
    outcome_.prompt_tokens = usage_->prompt_tokens;
    outcome_.cached_tokens = usage_->cached_tokens;
    outcome_.output_tokens = usage_->completion_tokens;
  }
  owner_.on_request_over(*this, std::move(outcome_));
}

double LiveRequest::trace_ms(TimePoint at) const {
  return to_milliseconds(at - start_) * options_.time_scale;
}

}  // namespace kvasir
