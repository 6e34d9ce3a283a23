#include "gateway/relay.h"

#include <utility>

#include "base/text.h"
#include "gateway/gateway_error.h"
#include "gateway/pool_relays.h"
#include "gateway/relay_head.h"
#include "gateway/visit.h"
#include "legs/legs_relays.h"
#include "net/http/http_status.h"
#include "net/http/proxy_head.h"
#include "net/io/event_loop.h"
#include "wire/request/model_splice.h"

namespace kvasir {
namespace {

constexpr std::string_view kNoWorker = "no worker is available";

}  // namespace

Relay::Relay(PoolRelays& relays, HttpExchange& exchange, bool inference,
             const RequestBounds& bounds)
    : relays_(relays),
      exchange_(exchange),
      visit_(visit_of(exchange)),
      journey_(relays.pool_thread(), *this),
      bounds_(bounds),
      inference_(inference),
      head_request_(exchange.head().method() == "HEAD") {
  journey_.names().request_id = request_id_of(exchange.head(), relays.pool_thread().random());
}

Relay::~Relay() {
  relays_.loop().cancel(error_timer_);
  relays_.loop().cancel(timeout_timer_);
  relays_.loop().cancel(connecting_timer_);
}

void Relay::start(const std::optional<RequestPeek>& peek) {
  exchange_.set_observer(this);
  if (bounds_.timeout > Duration::zero()) {
    timeout_timer_ = relays_.loop().after(bounds_.timeout, [this] { on_timeout(); });
  }
  if (inference_) {
    if (peek && has_two_legs(peek->api)) api_ = peek->api;
    if (relays_.pool_thread().reads_headers()) read_headers();
    const std::optional<RequestPeek> rewritten = rewrite_model(peek);
    if (peek && peek->names_workers) strip(peek->api);
    Journey::More more;
    more.headers = headers_;
    more.body_bytes = body().size();
    more.body = exchange_.body();
    more.authorization = exchange_.head().find("authorization").value_or("");
    if (const Tenant* tenant = visit_ == nullptr ? nullptr : visit_->tenant()) {
      more.fairness_id = tenant->fairness_id;
      more.priority = tenant->priority;
    }
    return journey_.start(rewritten ? rewritten : peek, std::move(more));
  }
  if (peek && peek->names_workers) strip(peek->api);
  Journey::More more;
  const HttpHead& head = exchange_.head();
  more.resets_cache = resets_cache(head.method(), head.target());
  if (journey_.start_anywhere(std::move(more))) return send();
  tell_bad_answer(kHttpServiceUnavailable, kNoWorker);
  fail(kHttpServiceUnavailable, kNoWorker);
}

void Relay::on_decided() {
  if (journey_.decision().prefill && !tells_sidecar() && begin_legs()) return;
  send();
}

bool Relay::tells_sidecar() const {
  return journey_.decision().prefill && relays_.options().sidecars_prefill;
}

// False: the request is one for a single endpoint after all.
bool Relay::begin_legs() {
  if (api_) {
    if (Result<LegBodies> bodies = LegBodies::read(*api_, request_body())) {
      PrefillStage::Owner& owner = *this;
      legs_ = std::make_unique<PrefillStage>(relays_, journey_, exchange_.head(),
                                             std::move(*bodies), bounds_.prefills_max, owner);
      legs_->start();
      return true;
    }
  }
  journey_.prefill_together();
  return false;
}

void Relay::end_decode() {
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  relays_.loop().cancel(std::exchange(error_timer_, kNoTimer));
  keeping_error_ = false;
  answer_ = HttpHead();
  withheld_ = std::string();
}

void Relay::refuse_legs(const LegRefusal& refusal) {
  tell_bad_answer(refusal.status, refusal.message);
  fail(refusal.status, refusal.message, {}, refusal.code);
}

void Relay::pass_on_prefill(int status, std::string_view fields, std::string_view body) {
  if (status >= kHttpServerErrors) tell_bad_answer(status, "the error is the prefill worker's own");
  end(Ending::kNatural, status);
  std::string all(fields);
  all.append("x-request-id: ").append(journey_.names().request_id).append("\r\n");
  exchange_.respond(status, all, body);
  leave();
}

void Relay::on_refused(const JourneyRefusal& refusal) {
  JourneyRefusal told = refusal;
  // Upstream's words for it are a picker's.
  if (told.dropped_reason == kNoEndpointsReason) told.text = kNoWorker;
  if (told.status >= kHttpServerErrors) tell_bad_answer(told.status, told.text);
  drop(told);
}

// What was begun cannot be taken back: it is cut.
void Relay::on_evicted(const JourneyRefusal& refusal) {
  if (legs_ != nullptr) legs_->on_left();
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  if (mode_ == Mode::kHeld) return drop(refusal);
  tell_bad_answer(journey_.status(), refusal.text);
  cut(refusal.status);
}

// Draws the model for which the pool has a rule. nullopt: it stays. The new peek points into the
// client's body: only its model is another, for that is whose cache and adapter count.
std::optional<RequestPeek> Relay::rewrite_model(const std::optional<RequestPeek>& peek) {
  if (!peek || peek->api == RequestApi::kSglangGenerate) return std::nullopt;
  const std::optional<std::string> target = relays_.pool_thread().rewritten_model(peek->model);
  if (!target || *target == peek->model) return std::nullopt;
  journey_.names().model = peek->model;
  journey_.names().target_model = *target;
  rewritten_ = std::make_unique<Rewritten>(
      Rewritten{whole(splice_model(exchange_.body(), peek->model_json, *target)),
                ModelRestorer(*target, peek->model)});
  RequestPeek rewritten = *peek;
  rewritten.model = *target;
  return rewritten;
}

// Of the answer's body, in mode kReframed: its client reads the model that it asked for.
void Relay::write_back(std::string_view bytes) {
  if (!rewritten_) return exchange_.write(bytes);
  std::string& restored = rewritten_->restored;
  restored.clear();
  rewritten_->restorer.feed(bytes, restored);
  if (!restored.empty()) exchange_.write(restored);
}

// A worker would fetch KV from whom a client names.
void Relay::strip(RequestApi api) {
  if (!relays_.options().strips_handoffs) return;
  const RequestApi shape = has_two_legs(api) ? api : RequestApi::kCompletions;
  Result<LegBodies> bodies = LegBodies::read(shape, request_body());
  if (!bodies) return;  // no object, so that it has no members
  std::string body = bodies->local();
  if (rewritten_) {
    rewritten_->body = std::move(body);
  } else {
    stripped_ = std::make_unique<std::string>(std::move(body));
  }
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

// journey_ says where to.
void Relay::send() {
  PoolRelays::Upstream* upstream = relays_.upstream(journey_.decision().endpoint);
  selected_ = journey_.endpoint()->name;
  if (upstream == nullptr) {
    note_failure("its address is not known");
    return retry(RetryReason::kNoAddress, "its address is not known");
  }
  if (selected_.empty()) selected_ = upstream->host;
  std::string prefiller;
  if (tells_sidecar()) {
    const auto endpoint = journey_.endpoint_at(*journey_.decision().prefill);
    prefiller = to_string(HostPort{endpoint->host, endpoint->port});
  }
  upstream_head_ = upstream_request_head(
      exchange_.head(), body().size(), upstream->host, journey_.names().request_id,
      {prefiller, !relays_.options().strips_handoffs && legs_ == nullptr});
  // What one connection was closed on is not risked on a kept-alive one, which might be sent again.
  const bool fresh_connection = closed_ > 0;
  call_ = &upstream->client->start(upstream_head_, body(), *this, head_request_, fresh_connection);
}

void Relay::on_head(const HttpHead& head) {
  answer_ = head;
  const int status = head.status();
  journey_.answer_begins(status);
  if (status >= kHttpErrors && (is_worth_another_try(status) || is_worse_than_kept(status))) {
    keep_error();
  }
}

void Relay::on_body(std::string_view bytes) {
  if (mode_ == Mode::kHeld && !keeping_error_) look_for_error(bytes);
  if (keeping_error_) return;
  journey_.first_byte();
  if (mode_ == Mode::kHeld) send_withheld();
  journey_.look(bytes);
  if (inference_) tail_.look(bytes);
  if (visit_ != nullptr) visit_->count_events(bytes);
  if (mode_ == Mode::kReframed) write_back(bytes);
}

void Relay::on_raw(std::string_view bytes) {
  const GatewayOptions& options = relays_.options();
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

// From here on the request cannot be tried elsewhere.
void Relay::send_withheld() {
  RelayFields added;
  std::string of_legs;
  if (legs_ != nullptr) {
    legs_->on_decode_begun();
    of_legs = legs_->answer_fields(selected_);
    added.of_legs = of_legs;
  }
  added.request_id = journey_.names().request_id;
  added.selected_pod = selected_;
  added.scheduling_ms = to_milliseconds(journey_.preparing() + journey_.scheduling());
  added.cache_prefix_tokens = journey_.decision().cached_tokens;
  added.cache_is_known = journey_.decision().cached_exactly;
  std::vector<std::pair<std::string, std::string>> of_plugins;
  if (journey_.scheduled() && relays_.pool().options().policy.empty()) {
    of_plugins = journey_.answer_fields();
    added.of_plugins = of_plugins;
  }
  const int status = answer_.status();
  const bool bodiless = head_request_ || is_bodiless(status);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = exchange_.head().minor_version() >= 1;
  const bool as_it_is = framed && (!rewritten_ || bodiless);
  raw_ = as_it_is && (modern_client || !answer_.chunked()) ? exchange_.raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(relayed_head(answer_, added, keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    std::string fields = relayed_fields(answer_, added);
    // HTTP/1 would say so with its framing.
    if (as_it_is) append_length(answer_, fields);
    exchange_.start(status, fields);
  }
  // An answer may stream for minutes: what only a retry would need goes now.
  answer_ = HttpHead();
  withheld_ = std::string();
  journey_.release_prompt();
  headers_ = {};
  names_ = {};
  if (call_ != nullptr && call_->request_sent()) {
    exchange_.release_body();
    stripped_.reset();
    if (rewritten_) rewritten_->body = std::string();
    upstream_head_ = std::string();
  }
}

void Relay::on_end() {
  call_ = nullptr;
  if (mode_ == Mode::kHeld && !keeping_error_) look_for_error({});
  if (keeping_error_) {
    if (!is_worse_than_kept(journey_.status())) {
      kept_ = std::make_unique<KeptAnswer>(KeptAnswer{std::move(answer_), std::move(withheld_),
                                                      selected_, journey_.decision(),
                                                      journey_.endpoint()});
    }
    return give_error_up();
  }
  journey_.note_answered();
  if (mode_ == Mode::kHeld) send_withheld();
  if (journey_.status() >= kHttpServerErrors || journey_.failed_in_200()) {
    tell_error_passed_on();
  }
  complete();
}

// The journey ends first: a client that has seen the end of the answer finds its load gone.
void Relay::complete() {
  end(Ending::kNatural, journey_.status());
  if (rewritten_ && mode_ == Mode::kReframed) {
    rewritten_->restored.clear();
    rewritten_->restorer.flush(rewritten_->restored);
    if (!rewritten_->restored.empty()) exchange_.write(rewritten_->restored);
  }
  mode_ == Mode::kRaw ? raw_->finish_raw() : exchange_.finish();
  leave();
}

void Relay::drop(const JourneyRefusal& refusal) {
  std::string fields;
  if (!refusal.dropped_reason.empty()) {
    fields.append(kDroppedReasonHeader).append(": ").append(refusal.dropped_reason).append("\r\n");
  }
  fail(refusal.status, refusal.text, fields);
}

void Relay::fail(int status, std::string_view message, std::string_view more_fields,
                 std::string_view type) {
  end(Ending::kNatural, status);
  ApiError error = gateway_error(status, message);
  if (!type.empty()) error.type = type;
  std::string fields = error_fields(error).append(more_fields);
  fields.append("x-request-id: ").append(journey_.names().request_id).append("\r\n");
  exchange_.respond(status, fields, error_body(error));
  leave();
}

void Relay::on_client_gone() {
  if (legs_ != nullptr) legs_->on_left();
  if (call_ != nullptr) call_->cancel();
  // Many clients hang up after the last event, before the framing says that the answer is over.
  const bool complete = mode_ != Mode::kHeld && !unread_ && tail_.is_end_of_stream();
  // Many hang up on an error, too, before the stream is over.
  const bool failed = mode_ != Mode::kHeld && journey_.failed_in_200();
  if (complete || failed) journey_.note_answered();
  complete ? end(Ending::kNatural, journey_.status())
           : end(Ending::kClientGone, kHttpClientClosedRequest);
  leave();
}

// The endpoint may be at work as it should: it is not blamed.
void Relay::on_time_over() {
  if (legs_ != nullptr) legs_->on_left();
  if (call_ != nullptr) call_->cancel();
  const bool begun = mode_ != Mode::kHeld;
  const int status = begun ? journey_.status() : kHttpGatewayTimeout;
  tell_bad_answer(status, "the time that its route gives it is over");
  end(begun ? Ending::kError : Ending::kNatural, status);
  leave();
}

void Relay::cut(int status) {
  end(Ending::kError, status);
  exchange_.abort();
  leave();
}

void Relay::end(Ending ending, int status) {
  journey_.end(ending, status);
  if (visit_ != nullptr) visit_->note(journey_, selected_);
}

void Relay::leave() {
  if (legs_ != nullptr) legs_->report();
  relays_.remove(*this);
}

}  // namespace kvasir
