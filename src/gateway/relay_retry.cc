// What a relay does when an endpoint fails: whom it asks next, whom it blames, what the client gets
// when nobody answers. docs/GATEWAY.md tells it to users.
#include <utility>

#include "gateway/failure_words.h"
#include "gateway/pool_relays.h"
#include "gateway/relay.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// What a client is told of failed attempts, at most.
constexpr size_t kFailuresBytesMost = 1000;
}  // namespace

void Relay::on_failure(const HttpFailure& failure) {
  using Kind = HttpFailure::Kind;
  call_ = nullptr;
  if (keeping_error_) return give_error_up();
  withheld_.clear();
  const bool closed = is_closed(failure);
  EndpointConduct& conduct = journey_.conduct();
  if (failure.kind == Kind::kConnect) conduct.not_connected();
  if (failure.kind == Kind::kClosed) conduct.closed();
  if (mode_ != Mode::kHeld) {
    // Part of the answer is out: cutting it is the only honest end.
    conduct.faulty();
    tell_bad_answer(journey_.status(), failure.message);
    return cut(kHttpBadGateway);
  }
  note_failure(closed ? std::string(kClosedWords) : plain_words(failure, relays_.options().client));
  if (closed) return on_closed(failure);
  if (failure.kind == Kind::kMalformed) {
    conduct.blame();
    return retry(RetryReason::kMalformed, failure.message);
  }
  conduct.faulty();
  if (failure.kind == Kind::kFirstByteTimeout || failure.kind == Kind::kIdleTimeout) {
    // The worker may be at work on it: another attempt would double the load that made it late.
    return give_up(kHttpGatewayTimeout, "the worker did not answer in time", failure.message);
  }
  if (failure.cause == HttpFailure::Cause::kTimedOut) bound_connecting();
  retry(RetryReason::kNotConnected, failure.message);
}

void Relay::bound_connecting() {
  if (connecting_timer_ != kNoTimer) return;
  connecting_timer_ = relays_.loop().after(relays_.options().late_connect_timeout, [this] {
    if (call_ == nullptr || call_->connected()) return;
    std::exchange(call_, nullptr)->cancel();
    const std::string why = "no connection " + within(relays_.options().late_connect_timeout);
    note_failure(why);
    journey_.conduct().unanswered();
    give_up(kHttpBadGateway, "no worker could answer", why);
  });
}

// Without an answer. The request may be what the worker closed for: few others are asked.
void Relay::on_closed(const HttpFailure& failure) {
  journey_.conduct().blame();
  if (++closed_ <= relays_.options().closed_retries_max) {
    return retry(RetryReason::kClosed, failure.message);
  }
  journey_.conduct().unanswered();
  relays_.probe().on_poison(journey_.names().request_id, closed_);
  give_up(kHttpBadGateway, "no worker could answer, and the request itself may be why",
          failure.message);
}

void Relay::on_endpoint_down(EndpointId endpoint) {
  if (legs_ != nullptr) legs_->on_endpoint_down(endpoint);
  const bool waits =
      call_ != nullptr && mode_ == Mode::kHeld && journey_.decision().endpoint == endpoint;
  if (!waits || journey_.attempts() >= bounds_.attempts_max || !journey_.has_other() ||
      !can_move()) {
    return;
  }
  if (!call_->connected()) bound_connecting();
  std::exchange(call_, nullptr)->cancel();
  if (keeping_error_) return give_error_up();
  withheld_.clear();
  note_failure("it became unhealthy before it answered");
  retry(RetryReason::kUnhealthy, "it became unhealthy before it answered");
}

bool Relay::is_worth_another_try(int status) {
  return (status == kHttpTooManyRequests || is_passing(status)) && may_try_error_elsewhere();
}

// The first 429 tells the client that it may come back, and when; no later error is better.
bool Relay::is_worse_than_kept(int status) const {
  return kept_ && kept_->head.status() == kHttpTooManyRequests &&
         (status == kHttpTooManyRequests || is_passing(status) || journey_.failed_in_200());
}

bool Relay::may_try_error_elsewhere() {
  const GatewayOptions& options = relays_.options();
  return error_retries_ < options.error_retries_max && journey_.attempts() < bounds_.attempts_max &&
         journey_.has_other() && can_move();
}

// Of a good status.
void Relay::look_for_error(std::string_view first_bytes) {
  if (!journey_.look_for_error(first_bytes)) return;
  if (may_try_error_elsewhere() || is_worse_than_kept(journey_.status())) keep_error();
}

// The answer is read to its end first: it is short, it may be the best there is, and its connection
// is worth keeping.
void Relay::keep_error() {
  keeping_error_ = true;
  error_timer_ = relays_.loop().after(relays_.options().error_answer_timeout, [this] {
    std::exchange(error_timer_, kNoTimer);
    give_error_up();
  });
}

// It is kept, or will not be: on to another endpoint.
void Relay::give_error_up() {
  relays_.loop().cancel(std::exchange(error_timer_, kNoTimer));
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  keeping_error_ = false;
  const bool last = !may_try_error_elsewhere();
  ++error_retries_;
  answer_ = HttpHead();
  withheld_ = std::string();
  // The worker is full: an answer that comes as fast as an error, and is no sign of speed either.
  const bool full = journey_.status() == kHttpTooManyRequests;
  full ? journey_.conduct().full() : journey_.conduct().blame();
  const std::string what = journey_.failed_in_200()
                               ? "it answered 200 without a good answer"
                               : "it answered " + std::to_string(journey_.status());
  note_failure(what);
  if (last && kept_) {
    journey_.conduct().unanswered();
    return send_kept();
  }
  retry(full ? RetryReason::kTooManyRequests : RetryReason::kServerError, what);
}

void Relay::send_kept() {
  const std::unique_ptr<KeptAnswer> kept = std::move(kept_);
  answer_ = std::move(kept->head);
  withheld_ = kept->raw;
  rewritten_.reset();  // it is framed as its worker did: nothing in it can be replaced
  selected_ = kept->selected;
  journey_.answered_by(kept->decision, kept->endpoint);
  journey_.answer_begins(answer_.status());
  send_withheld();
  if (mode_ == Mode::kReframed) exchange_.write(kept->raw);
  if (journey_.status() != kHttpTooManyRequests) tell_error_passed_on();
  complete();
}

void Relay::note_failure(std::string_view what) {
  if (failures_.size() > kFailuresBytesMost) return;
  const std::string& name = selected_.empty() ? journey_.endpoint()->host : selected_;
  failures_.append(failures_.empty() ? "" : "; ").append(name).append(": ").append(what);
}

void Relay::retry(RetryReason reason, std::string_view detail) {
  const std::shared_ptr<const Endpoint> failed = journey_.endpoint();
  const bool was_sent = reason != RetryReason::kNotConnected && reason != RetryReason::kNoAddress;
  if ((was_sent && !can_move()) || journey_.attempts() >= bounds_.attempts_max ||
      !journey_.retry()) {
    journey_.conduct().unanswered();
    return give_up(kHttpBadGateway, "no worker could answer", detail);
  }
  relays_.probe().on_retry(*failed, reason, detail);
  send();
}

// `why`: what the endpoint did that was asked last.
void Relay::give_up(int status, std::string_view message, std::string_view why) {
  if (kept_) return send_kept();
  tell_bad_answer(status, why);
  std::string fields;
  // The worker that did not answer in time may be at work on it still.
  if (status == kHttpGatewayTimeout)
    fields.append("x-selected-pod: ").append(selected_).append("\r\n");
  fail(status, std::string(message).append(": ").append(failures_), fields);
}

// Whoever was asked may have had too little time: nobody is blamed for that.
void Relay::on_timeout() {
  timeout_timer_ = kNoTimer;
  const std::string why = "the request was not answered " + within(bounds_.timeout);
  if (legs_ != nullptr) legs_->on_left();
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  journey_.conduct().unanswered();
  tell_bad_answer(kHttpGatewayTimeout, why);
  if (mode_ != Mode::kHeld) return cut(kHttpGatewayTimeout);
  std::string fields;
  if (!selected_.empty()) fields.append("x-selected-pod: ").append(selected_).append("\r\n");
  fail(kHttpGatewayTimeout, failures_.empty() ? why : why + ": " + failures_, fields);
}

void Relay::tell_bad_answer(int status, std::string_view why) {
  relays_.probe().on_bad_answer(
      {journey_.names().request_id, selected_, status, mode_ != Mode::kHeld, why});
}

void Relay::tell_stopped() {
  tell_bad_answer(mode_ == Mode::kHeld ? 0 : journey_.status(),
                  "the gateway stopped before the answer was complete");
}

// A worker's own error that goes to the client as it is.
void Relay::tell_error_passed_on() {
  const int status = journey_.status();
  relays_.probe().on_bad_answer({journey_.names().request_id, selected_, status, false,
                                 status >= kHttpServerErrors
                                     ? "the error is the worker's own"
                                     : "its answer holds an error or nothing"});
}

}  // namespace kvasir
