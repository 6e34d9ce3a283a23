#include "gateway/service_attempts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "gateway/answer_head_text.h"
#include "gateway/filtered_exchange.h"
#include "gateway/gateway_error.h"
#include "gateway/leg_answers.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

// Of a head, or of field lines, in seconds; a date counts as none.
Duration retry_after(std::string_view fields) {
  const std::string_view value = field_in(fields, "Retry-After");
  uint32_t seconds = 0;
  const char* const end = value.data() + value.size();
  if (std::from_chars(value.data(), end, seconds) != std::from_chars_result{end, std::errc()}) {
    return Duration::zero();
  }
  return std::chrono::seconds(seconds);
}

uint32_t retries_of(const RouteRule& rule) {
  if (!rule.retry) return 0;
  const int32_t said =
      rule.retry->attempts.value_or(static_cast<int32_t>(ServiceAttempts::kRetries));
  return std::min(static_cast<uint32_t>(said), ServiceAttempts::kRetriesMost);
}

}  // namespace

bool ServiceAttempts::are_for(const RouteRule& rule) {
  return rule.retry || rule.backend_timeout;
}

ServiceAttempts::ServiceAttempts(const AttemptsHost& host, HttpExchange& client,
                                 std::shared_ptr<const RouteRule> rule, const RouteTarget& target,
                                 std::vector<HostPort> members, std::string request_id)
    : host_(host),
      client_(client),
      rule_(std::move(rule)),
      target_(target),
      members_(std::move(members)),
      request_id_(std::move(request_id)),
      retries_(retries_of(*rule_)),
      begun_(host.executor.now()) {
  KVASIR_ASSERT(!members_.empty(), "there is a member to ask");
  host_.budget.begin();
}

ServiceAttempts::~ServiceAttempts() {
  host_.executor.cancel(timer_);
  if (is_retry_) host_.budget.give_back();
  host_.budget.end();
}

void ServiceAttempts::begin() {
  client_.set_observer(this);
  send();
}

void ServiceAttempts::send() {
  drop_relay();
  state_ = State::kAsking;
  outcome_ = std::make_shared<AttemptOutcome>();
  if (rule_->backend_timeout) {
    timer_ = host_.executor.after(*rule_->backend_timeout, [this] {
      timer_ = kNoTimer;
      on_attempt_late();
    });
  }
  host_.send(*this, members_[attempt_ % members_.size()], outcome_);
}

void ServiceAttempts::drop_relay() {
  if (relay_ != nullptr) std::exchange(relay_, nullptr)->on_client_gone();
}

Duration ServiceAttempts::pause() {
  const Duration least = rule_->retry->backoff.value_or(kBackoff);
  const int growth = std::min(1 << std::min(attempt_, 4u), kBackoffGrowth);
  const double spread = 1 + host_.random.uniform() / 2;
  return std::chrono::duration_cast<Duration>(least * growth * spread);
}

// False: this answer is the client's. The attempt's relay may go on for a while, unheard.
bool ServiceAttempts::try_again(RouteRetryReason reason, Duration pause_least) {
  if (attempt_ >= retries_) return false;
  if (!is_retry_ && !host_.budget.take()) {
    host_.probe.on_route_retry(*rule_, target_, RouteRetryReason::kRefused);
    return false;
  }
  is_retry_ = true;
  state_ = State::kPassedOver;
  outcome_->is_passed_over = true;
  host_.probe.on_route_retry(*rule_, target_, reason);
  host_.executor.cancel(timer_);
  timer_ = host_.executor.after(std::max(pause(), pause_least), [this] {
    timer_ = kNoTimer;
    ++attempt_;
    send();
  });
  return true;
}

bool ServiceAttempts::is_to_pass(int status, std::string_view fields) {
  if (!rule_->retry) return true;
  if (!outcome_->connection_failure.empty()) {
    return !try_again(RouteRetryReason::kConnection, Duration::zero());
  }
  const std::vector<int>& codes = rule_->retry->codes;
  if (std::find(codes.begin(), codes.end(), status) == codes.end()) return true;
  const Duration wait = same_member_next() ? retry_after(fields) : Duration::zero();
  return wait > kRetryAfterMost || !try_again(RouteRetryReason::kStatus, wait);
}

void ServiceAttempts::respond(int status, std::string_view fields, std::string_view body) {
  if (state_ == State::kAsking && is_to_pass(status, fields)) {
    client_.respond(status, fields, body);
    return leave();
  }
  relay_ = nullptr;
}

void ServiceAttempts::start(int status, std::string_view fields) {
  if (state_ != State::kAsking || !is_to_pass(status, fields)) return;
  state_ = State::kPassingOn;
  client_.start(status, fields);
}

void ServiceAttempts::write(std::string_view piece) {
  if (state_ == State::kPassingOn) client_.write(piece);
}

void ServiceAttempts::finish(std::string_view trailers) {
  relay_ = nullptr;
  if (state_ != State::kPassingOn) return;
  client_.finish(trailers);
  leave();
}

void ServiceAttempts::abort() {
  relay_ = nullptr;
  if (state_ != State::kPassingOn) return;
  client_.abort();
  leave();
}

size_t ServiceAttempts::unsent_bytes() const {
  return state_ == State::kPassingOn ? client_.unsent_bytes() : 0;
}

RawRelay* ServiceAttempts::raw() {
  return client_.raw() == nullptr ? nullptr : static_cast<RawRelay*>(this);
}

void ServiceAttempts::start_raw(std::string_view head, bool keep_alive) {
  if (state_ != State::kAsking || !is_to_pass(status_in(head), fields_in(head))) return;
  state_ = State::kPassingOn;
  client_.raw()->start_raw(head, keep_alive);
}

size_t ServiceAttempts::write_raw(std::string_view bytes) {
  return state_ == State::kPassingOn ? client_.raw()->write_raw(bytes) : 0;
}

void ServiceAttempts::finish_raw() {
  relay_ = nullptr;
  if (state_ != State::kPassingOn) return;
  client_.raw()->finish_raw();
  leave();
}

void ServiceAttempts::on_attempt_late() {
  if (state_ == State::kAsking && rule_->retry &&
      try_again(RouteRetryReason::kTimeout, Duration::zero())) {
    return drop_relay();
  }
  if (relay_ != nullptr) std::exchange(relay_, nullptr)->on_time_over();
  if (state_ == State::kPassingOn) {
    client_.abort();
    return leave();
  }
  refuse(kHttpGatewayTimeout,
         "the backend did not answer within the route's backendRequest timeout");
}

void ServiceAttempts::refuse(int status, const std::string& why) {
  const ApiError error = gateway_error(status, why);
  std::string fields = error_fields(error);
  fields.append("x-request-id: ").append(request_id_).append("\r\n");
  fields.append("x-kvasir-route: ").append(to_string(rule_->route)).append("\r\n");
  client_.respond(status, fields, error_body(error));
  leave();
}

void ServiceAttempts::on_client_gone() {
  if (relay_ == nullptr) tell(kHttpClientClosedRequest, "");
  drop_relay();
  leave();
}

void ServiceAttempts::on_time_over() {
  if (relay_ != nullptr && state_ != State::kPassedOver) {
    std::exchange(relay_, nullptr)->on_time_over();
  } else {
    tell(kHttpGatewayTimeout, kTimeOverWords);
    drop_relay();
  }
  leave();
}

// Of a request that ends between two attempts.
void ServiceAttempts::tell(int status, std::string_view why) {
  LegsReport report;
  report.request_id = request_id_;
  report.path = client_.head().path();
  report.status = status;
  report.why = why;
  report.time = host_.executor.now() - begun_;
  host_.probe.on_route_answer({*rule_, target_, report});
  tell_bad_answer(host_.probe, report);
}

void ServiceAttempts::on_drained() {
  if (relay_ != nullptr && state_ == State::kPassingOn) relay_->on_drained();
}

void ServiceAttempts::leave() {
  host_.remove(*this);
}

}  // namespace kvasir
