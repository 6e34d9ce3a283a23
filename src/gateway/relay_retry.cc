// What a relay does when an endpoint fails: whom it asks next, whom it blames, what the client gets
// when nobody answers. docs/GATEWAY.md tells it to users.
#include <cstdio>
#include <utility>

#include "gateway/gateway.h"
#include "gateway/gateway_thread.h"
#include "gateway/relay.h"
#include "net/io/event_loop.h"
#include "wire/request/error_answer.h"

namespace kvasir {
namespace {

// What a client is told of failed attempts, at most.
constexpr size_t kFailuresBytesMost = 1000;
constexpr std::string_view kClosedWords = "connection closed before the answer was complete";

// Server errors that another endpoint may not have. 501 and 505 speak of the request.
bool is_passing(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

std::string within(Duration limit) {
  char text[40];
  const double seconds = to_seconds(limit);
  std::snprintf(text, sizeof text, "within %g %s", seconds < 1 ? seconds * 1000 : seconds,
                seconds < 1 ? "ms" : "s");
  return text;
}

// Of a request that got no byte of an answer's body. No address: the endpoint is told by its name.
std::string plain_words(const HttpFailure& failure, const HttpClientLimits& limits) {
  using Kind = HttpFailure::Kind;
  using Cause = HttpFailure::Cause;
  switch (failure.kind) {
    case Kind::kConnect:
      if (failure.cause == Cause::kRefused) return "connection refused";
      if (failure.cause == Cause::kTimedOut) {
        return "no connection " + within(limits.connect_timeout);
      }
      return "no connection";
    case Kind::kClosed:
      return std::string(kClosedWords);
    case Kind::kFirstByteTimeout:
      return "no byte of the answer " + within(limits.first_byte_timeout);
    case Kind::kIdleTimeout:
      return "the answer stalled: no byte " + within(limits.idle_timeout);
    case Kind::kMalformed:
      break;
  }
  return failure.message;  // names the rule of HTTP that the answer broke
}

}  // namespace

// A server error that other endpoints answer with as well is the request's, not theirs.
void Relay::note_answered() {
  if (status_ >= kHttpServerErrors || failed_in_200_) {
    if (blamed_.empty()) judge(decision_.endpoint, false);
    return blamed_.clear();
  }
  if (status_ == kHttpTooManyRequests) {
    note_full();
  } else {
    judge(decision_.endpoint, true);
    thread_.pool().feeds().report_served(decision_.endpoint);
  }
  settle_blame(true);
}

void Relay::note_full() {
  judge(decision_.endpoint, true);
  thread_.pool().feeds().report_served(decision_.endpoint);
  thread_.pool().scheduler().avoid(decision_.endpoint, thread_.options().failure_pause);
}

void Relay::on_failure(const HttpFailure& failure) {
  using Kind = HttpFailure::Kind;
  call_ = nullptr;
  if (keeping_error_) return give_error_up();
  withheld_.clear();
  // A worker that took a request over a kept-alive connection and is gone now may have died of it.
  const bool closed =
      failure.kind == Kind::kClosed || (failure.kind == Kind::kConnect && failure.resent);
  FleetFeeds& feeds = thread_.pool().feeds();
  if (failure.kind == Kind::kConnect) feeds.report_connect_failure(decision_.endpoint);
  if (failure.kind == Kind::kClosed) feeds.report_closed(decision_.endpoint);
  if (mode_ != Mode::kHeld) {
    // Part of the answer is out: cutting it is the only honest end.
    judge(decision_.endpoint, false);
    tell_bad_answer(status_, failure.message);
    exchange_.abort();
    return finish(502, false);
  }
  note_failure(closed ? std::string(kClosedWords) : plain_words(failure, thread_.options().client));
  if (closed) return on_closed(failure);
  if (failure.kind == Kind::kMalformed) {
    blame();
    return retry(RetryReason::kMalformed, failure.message);
  }
  judge(decision_.endpoint, false);
  if (failure.kind == Kind::kFirstByteTimeout || failure.kind == Kind::kIdleTimeout) {
    // The worker may be at work on it: another attempt would double the load that made it late.
    return give_up(504, "the worker did not answer in time", failure.message);
  }
  retry(RetryReason::kNotConnected, failure.message);
}

// Without an answer. The request may be what the worker closed for: few others are asked.
void Relay::on_closed(const HttpFailure& failure) {
  blame();
  if (++closed_ <= thread_.options().closed_retries_max) {
    return retry(RetryReason::kClosed, failure.message);
  }
  settle_blame(false);
  thread_.probe().on_poison(request_id_, closed_);
  give_up(502, "no worker could answer, and the request itself may be why", failure.message);
}

void Relay::on_endpoint_down(EndpointId endpoint) {
  const bool waits = call_ != nullptr && mode_ == Mode::kHeld && decision_.endpoint == endpoint;
  if (!waits || attempts_ >= thread_.options().attempts_max || !has_other()) return;
  std::exchange(call_, nullptr)->cancel();
  if (keeping_error_) return give_error_up();
  withheld_.clear();
  note_failure("it became unhealthy before it answered");
  retry(RetryReason::kUnhealthy, "it became unhealthy before it answered");
}

bool Relay::has_other() {
  return routed_ ? routed_->has_other() : thread_.has_other(tried_, decision_.endpoint);
}

bool Relay::is_worth_another_try(int status) {
  return (status == kHttpTooManyRequests || is_passing(status)) && may_try_error_elsewhere();
}

// The first 429 tells the client that it may come back, and when; no later error is better.
bool Relay::is_worse_than_kept(int status) const {
  return kept_ && kept_->head.status() == kHttpTooManyRequests &&
         (status == kHttpTooManyRequests || is_passing(status) || failed_in_200_);
}

bool Relay::may_try_error_elsewhere() {
  const GatewayOptions& options = thread_.options();
  return error_retries_ < options.error_retries_max && attempts_ < options.attempts_max &&
         has_other();
}

// Of a good status. Without a byte there is no answer, when a prompt was sent.
void Relay::look_for_error(std::string_view first_bytes) {
  if (!routed_ || status_ != kHttpOk) return;
  failed_in_200_ =
      first_bytes.empty() ? routed_->request().prompt_bytes > 0 : is_error_answer(first_bytes);
  if (failed_in_200_ && (may_try_error_elsewhere() || is_worse_than_kept(status_))) keep_error();
}

// The answer is read to its end first: it is short, it may be the best there is, and its connection
// is worth keeping.
void Relay::keep_error() {
  keeping_error_ = true;
  error_timer_ = thread_.loop().after(thread_.options().error_answer_timeout, [this] {
    std::exchange(error_timer_, kNoTimer);
    give_error_up();
  });
}

// It is kept, or will not be: on to another endpoint.
void Relay::give_error_up() {
  thread_.loop().cancel(std::exchange(error_timer_, kNoTimer));
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  keeping_error_ = false;
  const bool last = !may_try_error_elsewhere();
  ++error_retries_;
  answer_ = HttpHead();
  withheld_ = std::string();
  const bool full = status_ == kHttpTooManyRequests;
  full ? note_full() : blame();
  const std::string what = failed_in_200_ ? "it answered 200 without a good answer"
                                          : "it answered " + std::to_string(status_);
  note_failure(what);
  if (last && kept_) {
    settle_blame(false);
    return send_kept();
  }
  retry(full ? RetryReason::kTooManyRequests : RetryReason::kServerError, what);
}

void Relay::send_kept() {
  release();
  const std::unique_ptr<KeptAnswer> kept = std::move(kept_);
  answer_ = std::move(kept->head);
  withheld_ = kept->raw;
  selected_ = kept->selected;
  decision_ = kept->decision;
  status_ = answer_.status();
  send_withheld();
  if (mode_ == Mode::kReframed) exchange_.write(kept->raw);
  if (status_ != kHttpTooManyRequests) tell_error_passed_on();
  mode_ == Mode::kRaw ? raw_->finish_raw() : exchange_.finish();
  finish(status_, true);
}

void Relay::judge(EndpointId endpoint, bool good) {
  if (!good) thread_.pool().scheduler().avoid(endpoint, thread_.options().fault_pause);
  OutlierEjection* ejection = thread_.pool().feeds().outliers();
  if (ejection == nullptr) return;
  good ? ejection->succeeded(endpoint) : ejection->failed(endpoint);
}

void Relay::blame() {
  blamed_.push_back(decision_.endpoint);
  thread_.pool().scheduler().avoid(decision_.endpoint, thread_.options().failure_pause);
}

// An answer from somebody else: it was their fault. Several who failed alike: it was the request's.
// One alone: his.
void Relay::settle_blame(bool answered) {
  if (answered || blamed_.size() == 1) {
    for (const EndpointId endpoint : blamed_) judge(endpoint, false);
  }
  blamed_.clear();
}

void Relay::note_failure(std::string_view what) {
  if (failures_.size() > kFailuresBytesMost) return;
  const std::string& name = selected_.empty() ? attempted_->host : selected_;
  failures_.append(failures_.empty() ? "" : "; ").append(name).append(": ").append(what);
}

void Relay::retry(RetryReason reason, std::string_view detail) {
  const std::shared_ptr<const Endpoint> failed = attempted_;
  if (routed_) routed_->exclude_chosen();
  tried_.push_back(decision_.endpoint);
  release();
  if (attempts_ >= thread_.options().attempts_max || !pick()) {
    settle_blame(false);
    return give_up(502, "no worker could answer", detail);
  }
  thread_.probe().on_retry(*failed, reason, detail);
  send();
}

// `why`: what the endpoint did that was asked last.
void Relay::give_up(int status, std::string_view message, std::string_view why) {
  if (kept_) return send_kept();
  tell_bad_answer(status, why);
  std::string fields;
  // The worker that did not answer in time may be at work on it still.
  if (status == 504) fields.append("x-selected-pod: ").append(selected_).append("\r\n");
  fail(status, std::string(message).append(": ").append(failures_), fields);
}

void Relay::tell_bad_answer(int status, std::string_view why) {
  thread_.probe().on_bad_answer({request_id_, selected_, status, mode_ != Mode::kHeld, why});
}

// A worker's own error that goes to the client as it is.
void Relay::tell_error_passed_on() {
  thread_.probe().on_bad_answer({request_id_, selected_, status_, false,
                                 status_ >= kHttpServerErrors
                                     ? "the error is the worker's own"
                                     : "its answer holds an error or nothing"});
}

}  // namespace kvasir
