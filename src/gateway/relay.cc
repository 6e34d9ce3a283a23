#include "gateway/relay.h"

#include <cstdio>
#include <utility>

#include "base/text.h"
#include "gateway/gateway.h"
#include "gateway/gateway_thread.h"
#include "gateway/relay_head.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// What nginx calls a client that left; only in reports, never sent.
constexpr int kClientClosedRequest = 499;

std::string random_id(Random& random) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random.next()));
  return text;
}

}  // namespace

Relay::Relay(GatewayThread& thread, HttpExchange& exchange, bool inference)
    : thread_(thread),
      exchange_(exchange),
      arrived_(thread_.loop().clock().now()),
      inference_(inference),
      head_request_(exchange.head().method() == "HEAD") {
  const auto given = exchange.head().find("x-request-id");
  request_id_ =
      given && !given->empty() ? std::string(*given) : random_id(thread.pool_thread().random());
}

Relay::~Relay() {
  thread_.loop().cancel(error_timer_);
  leave_admission();
  release();
}

void Relay::start(const std::optional<RequestPeek>& peek) {
  thread_.probe().on_started();
  exchange_.set_observer(this);
  if (inference_) {
    const PoolOptions& pool = thread_.pool().options();
    if (pool.policy.empty() || !pool.priorities.empty()) read_headers();
    routed_.emplace(thread_.pool().scheduler(), thread_.pool().estimator(),
                    thread_.pool_thread().next_request_id(), peek, headers_);
    if (peek && ask_services(*peek)) return;
  }
  schedule();
}

// Services that the configuration names; the request goes on when they have answered, or not in
// time. False: there are none.
bool Relay::ask_services(const RequestPeek& peek) {
  const auto services = thread_.pool_thread().remote_services();
  if (services == nullptr) return false;
  fetch_ = thread_.pool_thread().remote_scores().start(
      *services, peek, thread_.pool().snapshot(), [this](FetchedScores scores) {
        fetched_ = std::move(scores);
        routed_->set_remote_scores(fetched_.view());
        fetch_.reset();
        schedule();
      });
  return true;
}

void Relay::schedule() {
  const bool open = thread_.pool().admission().mode() == AdmissionSettings::Mode::kOpen;
  if (inference_ && !open) return admit();
  attempt();
}

RequestClass Relay::class_of_request() const {
  return request_class(headers_, thread_.pool().options().priority_of);
}

void Relay::admit() {
  routed_->set_class(class_of_request());
  EventLoop& loop = thread_.loop();
  ticket_ = std::make_shared<AdmissionTicket>(
      *routed_, exchange_.body().size(),
      lifeline_.posting(loop, [this](const Verdict& verdict) { on_verdict(verdict); }),
      lifeline_.posting(loop, [this](FlowOutcome outcome) { on_evicted(outcome); }));
  const std::optional<Verdict> verdict = thread_.pool().admission().admit(ticket_);
  scheduling_ = thread_.loop().clock().now() - arrived_;
  if (verdict) on_verdict(*verdict);
}

void Relay::on_verdict(const Verdict& verdict) {
  held_ = thread_.loop().clock().now() - arrived_ - scheduling_;
  if (!verdict.dispatched()) return drop(verdict.outcome);
  decision_ = verdict.decision;
  send();
}

// What was begun cannot be taken back: it is cut.
void Relay::on_evicted(FlowOutcome outcome) {
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  if (mode_ == Mode::kHeld) return drop(outcome);
  tell_bad_answer(status_, answer_for(outcome).text);
  exchange_.abort();
  finish(answer_for(outcome).status, false);
}

// Plugins may look at any header; the built-in policies look at none.
void Relay::read_headers() {
  const HttpHead& head = exchange_.head();
  names_.reserve(head.field_count());
  for (size_t i = 0; i < head.field_count(); ++i) {
    const std::string& name = names_.emplace_back(lower_case(head.field(i).name));
    headers_.push_back({name, head.field(i).value});
  }
}

bool Relay::choose() {
  if (inference_) {
    const std::optional<Decision> decision = routed_->choose();
    if (decision) decision_ = *decision;
    return decision.has_value();
  }
  const std::optional<EndpointId> endpoint = thread_.next_in_turn(tried_);
  if (endpoint) decision_.endpoint = *endpoint;
  return endpoint.has_value();
}

// choose(), timed.
bool Relay::pick() {
  const TimePoint begin = attempts_ == 0 ? arrived_ : thread_.loop().clock().now();
  const bool chosen = choose();
  scheduling_ += thread_.loop().clock().now() - begin;
  return chosen;
}

void Relay::attempt() {
  if (pick()) return send();
  tell_bad_answer(503, "no worker is available");
  fail(503, "no worker is available");
}

void Relay::send() {
  ++attempts_;
  attempted_ = thread_.pool().snapshot()->endpoints[index_of(decision_.endpoint)].endpoint;
  thread_.probe().on_routed(*attempted_);
  GatewayThread::Upstream* upstream = thread_.upstream(decision_.endpoint);
  selected_ = attempted_->name;
  if (upstream == nullptr) {
    note_failure("its address is not known");
    return retry(RetryReason::kNoAddress, "its address is not known");
  }
  if (selected_.empty()) selected_ = upstream->host;
  upstream_head_ =
      upstream_request_head(exchange_.head(), exchange_.body().size(), upstream->host, request_id_);
  // What one connection was closed on is not risked on a kept-alive one, which might be sent again.
  const bool fresh_connection = closed_ > 0;
  call_ = &upstream->client->start(upstream_head_, exchange_.body(), *this, head_request_,
                                   fresh_connection);
}

void Relay::on_head(const HttpHead& head) {
  answer_ = head;
  status_ = head.status();
  failed_in_200_ = false;
  if (status_ >= kHttpErrors && (is_worth_another_try(status_) || is_worse_than_kept(status_))) {
    keep_error();
  }
}

void Relay::on_body(std::string_view bytes) {
  if (mode_ == Mode::kHeld && !keeping_error_) look_for_error(bytes);
  if (keeping_error_) return;
  note_first_byte();
  if (mode_ == Mode::kHeld) send_withheld();
  if (inference_) {
    usage_.look(bytes);
    tail_.look(bytes);
  }
  if (mode_ == Mode::kReframed) exchange_.write(bytes);
}

void Relay::on_raw(std::string_view bytes) {
  const GatewayOptions& options = thread_.options();
  if (mode_ == Mode::kHeld) withheld_.append(bytes);  // framing alone is no body byte yet
  if (keeping_error_ && withheld_.size() > options.error_answer_bytes_max) return give_error_up();
  const size_t unsent = mode_ == Mode::kRaw ? raw_->write_raw(bytes) : exchange_.unsent_bytes();
  unread_ = unsent > 0;
  if (unsent > options.unread_bytes_max && !paused_) {
    paused_ = true;
    call_->pause();
  }
}

void Relay::on_drained() {
  unread_ = false;
  if (!paused_) return;
  paused_ = false;
  call_->resume();
}

void Relay::note_first_byte() {
  if (first_byte_) return;
  first_byte_ = thread_.loop().clock().now() - arrived_;
  // Of an error it says nothing: no prompt was read for it.
  if (routed_ && status_ < kHttpErrors && !failed_in_200_) routed_->first_token();
}

// From here on the request cannot be tried elsewhere.
void Relay::send_withheld() {
  RelayFields added;
  added.request_id = request_id_;
  added.selected_pod = selected_;
  added.scheduling_ms = to_milliseconds(scheduling_);
  added.cache_prefix_tokens = decision_.cached_tokens;
  std::vector<std::pair<std::string, std::string>> of_plugins;
  if (routed_ && attempted_ && thread_.pool().options().policy.empty()) {
    of_plugins = thread_.pool().scheduler().answer_fields(*attempted_);
    added.of_plugins = of_plugins;
  }
  const bool bodiless = head_request_ || is_bodiless(status_);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = exchange_.head().minor_version() >= 1;
  raw_ = framed && (modern_client || !answer_.chunked()) ? exchange_.raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(relayed_head(answer_, added, keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    exchange_.start(status_, relayed_fields(answer_, added));
  }
  // An answer may stream for minutes: what only a retry would need goes now.
  answer_ = HttpHead();
  withheld_ = std::string();
  if (call_ != nullptr && call_->request_sent()) {
    exchange_.release_body();
    upstream_head_ = std::string();
  }
}

void Relay::on_end() {
  call_ = nullptr;
  if (mode_ == Mode::kHeld && !keeping_error_) look_for_error({});
  if (keeping_error_) {
    if (!is_worse_than_kept(status_)) {
      kept_ = std::make_unique<KeptAnswer>(
          KeptAnswer{std::move(answer_), std::move(withheld_), selected_, decision_});
    }
    return give_error_up();
  }
  if (routed_) {
    if (const auto tokens = usage_.prompt_tokens()) routed_->learn_prompt_tokens(*tokens);
  }
  note_answered();
  if (mode_ == Mode::kHeld) send_withheld();
  if (status_ >= kHttpServerErrors || failed_in_200_) tell_error_passed_on();
  release();
  mode_ == Mode::kRaw ? raw_->finish_raw() : exchange_.finish();
  finish(status_, true);
}

void Relay::drop(FlowOutcome outcome) {
  const FlowAnswer& answer = answer_for(outcome);
  std::string fields;
  if (!answer.dropped_reason.empty()) {
    fields.append(kDroppedReasonHeader).append(": ").append(answer.dropped_reason).append("\r\n");
  }
  fail(answer.status, answer.text, fields);
}

void Relay::fail(int status, std::string_view message, std::string_view more_fields) {
  release();
  const ApiError error = gateway_error(status, message);
  const std::string fields =
      error_fields(error).append(more_fields).append("x-request-id: ").append(request_id_).append("\r\n");
  exchange_.respond(status, fields, error_body(error));
  finish(status, true);
}

void Relay::on_client_gone() {
  if (call_ != nullptr) call_->cancel();
  // Many clients hang up after the last event, before the framing says that the answer is over.
  const bool complete = mode_ != Mode::kHeld && !unread_ && tail_.is_end_of_stream();
  // Many hang up on an error, too, before the stream is over.
  const bool failed = mode_ != Mode::kHeld && failed_in_200_;
  if (complete || failed) note_answered();
  finish(complete ? status_ : kClientClosedRequest, complete);
}

void Relay::release() {
  if (routed_) routed_->ended();
  if (attempted_) thread_.probe().on_released(*attempted_);
  attempted_.reset();
}

// A request that is held must be so no longer before anybody else touches routed_.
void Relay::leave_admission() {
  if (!ticket_) return;
  thread_.pool().admission().cancel(*ticket_);
  release();
  const auto ticket = std::exchange(ticket_, nullptr);
  thread_.pool().admission().ended(*ticket, usage_.prompt_tokens().value_or(0),
                                   usage_.completion_tokens().value_or(0));
}

void Relay::finish(int status, bool complete) {
  leave_admission();
  release();
  RequestReport report;
  report.status = status;
  if (attempts_ > 0) report.endpoint = decision_.endpoint;
  report.inference = inference_;
  report.complete = complete;
  report.total = thread_.loop().clock().now() - arrived_;
  report.first_byte = first_byte_;
  report.scheduling = scheduling_;
  report.held = held_;
  thread_.probe().on_finished(report);
  thread_.remove(*this);
}

}  // namespace kvasir
