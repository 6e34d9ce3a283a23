#include "legs/legs_relay.h"

#include <cstdio>
#include <utility>

#include "base/assert.h"
#include "legs/bootstrap_clients.h"
#include "legs/leg_heads.h"
#include "legs/leg_requests.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr uint64_t kBytesPerToken = 4;  // of English, for a deadline

LegFailure leg_failure(const HttpFailure& failure) {
  return failure.kind == HttpFailure::Kind::kConnect ? LegFailure::kNotConnected
                                                     : LegFailure::kBroken;
}

constexpr std::string_view kTimingTrailer =
    "Trailer: x-decode-time-ms, x-total-time-ms, x-tokens-generated\r\n";

// "Name: 12.345\r\n"
void append_ms(std::string_view name, Duration time, std::string& fields) {
  char ms[32];
  std::snprintf(ms, sizeof ms, "%.3f", to_milliseconds(time));
  fields.append(name).append(": ").append(ms).append("\r\n");
}

HostPort bootstrap_of(const LegWorker& worker) {
  return {worker.address.host, worker.side_port};
}

std::string name_of(const LegWorker& worker) {
  return worker.name.empty() ? to_string(worker.address) : worker.name;
}

}  // namespace

// One prefill leg.
class LegsRelay::PrefillCall final : public HttpCallObserver {
 public:
  PrefillCall(LegsRelay& relay, size_t leg, size_t candidate)
      : relay_(relay), leg_(leg), candidate_(candidate), call_(relay.relays_.clients(), *this) {}

  void find_engine(BootstrapClients& bootstrap) {
    const HostPort server = bootstrap_of(worker());
    if (const auto known = bootstrap.find(server)) return tell_engine(*known);
    question_ = bootstrap.ask(server, [this, server](const Result<PrefillEngine>& found) {
      question_.reset();
      if (found) return tell_engine(*found);
      const std::string why = to_string(server) + ": " + found.error().message;
      relay_.observer_->on_connection_failed(LegStage::kPrefill, why);
      relay_.legs_->on_prefill_failed(leg_, LegFailure::kNotConnected, why);
    });
  }
  void send(std::string body) {
    body_ = std::move(body);
    wait_ = relay_.observer_->wait_to_prefill(candidate_, [this](const Result<void>& room) {
      wait_.reset();
      if (room) return send_now();
      relay_.legs_->on_prefill_failed(leg_, LegFailure::kNoRoom, room.error().message);
    });
    if (wait_ == nullptr) send_now();
  }
  void cancel() {
    wait_.reset();
    question_.reset();
    call_.cancel();
    tell(LegsObserver::End::kCancelled);
  }
  // Of its end, once.
  void tell(LegsObserver::End end) {
    if (is_sent_ && !std::exchange(told_, true))
      relay_.observer_->on_prefill_ended(candidate_, end);
  }
  size_t candidate() const { return candidate_; }
  std::string_view content_type() const { return content_type_; }
  std::string_view retry_after() const { return retry_after_; }

 private:
  void send_now() {
    is_sent_ = true;
    relay_.observer_->on_prefill_sent(candidate_);
    const std::string id =
        relay_.observer_->leg_request_id(relay_.route_, candidate_, relay_.decoder_);
    const std::string host = to_string(worker().address), trace = relay_.new_traceparent();
    call_.start(worker(), leg_head(relay_.request_, body_.size(), {host, id, trace, rank_}), body_);
  }
  void tell_engine(const PrefillEngine& engine) {
    rank_ = engine.rank;
    relay_.legs_->on_engine(leg_, engine);
  }
  const LegWorker& worker() const { return relay_.route_.prefillers[candidate_]; }
  void on_head(const HttpHead& head) override {
    content_type_ = head.find("content-type").value_or("");
    retry_after_ = head.find("retry-after").value_or("");
    status_ = head.status();
    relay_.legs_->on_prefill_head(leg_, status_);
  }
  void on_body(std::string_view bytes) override { relay_.legs_->on_prefill_body(leg_, bytes); }
  void on_end() override {
    call_.ended();
    const bool failed = status_ >= kHttpServerErrors;
    tell(failed ? LegsObserver::End::kFailed : LegsObserver::End::kAnswered);
    if (failed) relay_.forget_engine(candidate_);
    relay_.legs_->on_prefill_end(leg_);
  }
  void on_failure(const HttpFailure& failure) override {
    call_.ended();
    tell(LegsObserver::End::kFailed);
    const std::string why = to_string(worker().address) + ": " + failure.message;
    relay_.observer_->on_connection_failed(LegStage::kPrefill, why);
    relay_.forget_engine(candidate_);
    relay_.legs_->on_prefill_failed(leg_, leg_failure(failure), why);
  }

  LegsRelay& relay_;
  const size_t leg_, candidate_;
  std::string body_, content_type_, retry_after_;
  int status_ = 0;
  bool is_sent_ = false, told_ = false;
  std::optional<uint32_t> rank_;  // of the engine that was found
  std::unique_ptr<BootstrapClients::Question> question_;
  std::unique_ptr<LegWait> wait_;
  WorkerCall call_;
};

LegsRelay::LegsRelay(LegsRelays& relays, HttpExchange& exchange, LegsRoute route,
                     std::unique_ptr<LegsObserver> observer)
    : relays_(relays),
      exchange_(&exchange),
      request_(exchange.head()),
      begun_(relays.loop().now()),
      route_(std::move(route)),
      observer_(std::move(observer)),
      call_(relays.clients(), *this) {
  if (!relays.options().answer.trace) return;
  trace_ = read_traceparent(request_.find("traceparent").value_or(""));
  if (!trace_) trace_ = new_trace(relays.random());
}

LegsRelay::~LegsRelay() = default;

void LegsRelay::start(std::optional<std::string> body) {
  exchange_->set_observer(this);
  if (!body) return call_decoder(exchange_->body());
  decode_body_ = std::move(*body);
  call_decoder(decode_body_);
}

void LegsRelay::start(LegBodies bodies) {
  exchange_->set_observer(this);
  bodies_ = std::move(bodies);
  const bool is_plain = route_.prefillers.empty() && !route_.kv_source && !bodies_->names_workers();
  if (is_plain) return call_decoder(exchange_->body());
  std::vector<PrefillCandidate> candidates;
  for (const LegWorker& worker : route_.prefillers) {
    candidates.push_back({worker.address.host, worker.address.port, worker.side_port});
  }
  TwoLegs::Carrier& carrier = *this;
  legs_ = std::make_unique<TwoLegs>(relays_.options().handoff, *bodies_, std::move(candidates),
                                    exchange_->body().size() / kBytesPerToken,
                                    relays_.random().next(), relays_.loop(), carrier);
  if (route_.kv_source) {
    const HostPort& source = route_.kv_source->address;
    legs_->pull_from({source.host, source.port, route_.kv_source->side_port});
  }
  legs_->start();
}

void LegsRelay::find_engine(size_t leg, size_t candidate) {
  prefills_.push_back(std::make_unique<PrefillCall>(*this, leg, candidate));
  BootstrapClients* const bootstrap = relays_.options().bootstrap;
  KVASIR_ASSERT(bootstrap != nullptr, "who speaks Mooncake asks bootstrap servers");
  prefills_.back()->find_engine(*bootstrap);
}

void LegsRelay::send_prefill(size_t leg, size_t candidate, std::string body) {
  if (prefills_.size() == leg) {
    prefills_.push_back(std::make_unique<PrefillCall>(*this, leg, candidate));
  }
  prefills_[leg]->send(std::move(body));
}

// The worker may have restarted, as another engine.
void LegsRelay::forget_engine(size_t candidate) {
  if (BootstrapClients* const bootstrap = relays_.options().bootstrap) {
    bootstrap->forget(bootstrap_of(route_.prefillers[candidate]));
  }
}

std::string LegsRelay::new_traceparent() {
  return trace_ ? traceparent(*trace_, relays_.random().next() | 1) : "";
}

void LegsRelay::send_decode_first(std::string body) {
  looks_ = true;
  send_decode(std::move(body));
}

void LegsRelay::end_prefill(size_t leg) {
  prefills_[leg]->cancel();
}

void LegsRelay::on_prefill_late(size_t leg) {
  prefills_[leg]->tell(LegsObserver::End::kFailed);
}

void LegsRelay::send_decode(std::string body) {
  decode_body_ = std::move(body);
  if (relays_.options().answer.first_token) send_first_token();
  call_decoder(decode_body_);
}

// The prefiller's, while the KV is still on its way.
void LegsRelay::send_first_token() {
  const bool has_one =
      legs_->report().path == HandoffReport::Path::kTwoLegs && bodies_->has_certain_first_token();
  if (has_one) first_token_ = FirstToken::read(bodies_->api(), legs_->prefill_answer());
  if (!first_token_) return;
  const AnswerOptions& wanted = relays_.options().answer;
  const bool says_cached = wanted.prefill_cached_tokens && bodies_->says_cached_tokens();
  usage_ =
      std::make_unique<UsageStream>(says_cached ? legs_->report().cached_tokens : std::nullopt);
  first_byte_time_ = relays_.loop().now() - begun_;
  mode_ = Mode::kReframed;
  std::string fields = "Content-Type: text/event-stream; charset=utf-8\r\n" + leg_fields();
  if (wanted.timing_trailers) fields += kTimingTrailer;
  exchange_->start(kHttpOk, fields);
  exchange_->write(first_token_->events());
}

// Of an answer that cannot be gone on with.
void LegsRelay::cut(std::string why) {
  why_ = std::move(why);
  failed_at_ = LegStage::kDecode;
  call_.cancel();
  std::exchange(exchange_, nullptr)->abort();
  finish(kHttpOk, true);
}

std::string LegsRelay::decode_head(size_t body_bytes) {
  std::optional<size_t> prefiller;
  if (legs_ != nullptr) prefiller = legs_->report().prefiller;
  const std::string id = observer_->leg_request_id(route_, prefiller, decoder_);
  const std::string host = to_string(route_.decoders[decoder_].address), trace = new_traceparent();
  return leg_head(request_, body_bytes, {host, id, trace});
}

void LegsRelay::call_decoder(std::string_view body) {
  asked_ = true;
  decode_begun_ = relays_.loop().now();
  observer_->on_decode_sent(decoder_);
  sent_body_ = body;
  call_.start(route_.decoders[decoder_], decode_head(body.size()), body,
              request_.method() == "HEAD");
}

void LegsRelay::end_decode() {
  call_.cancel();
  answer_ = HttpHead();
  withheld_.clear();
  look_.reset();
  held_body_.clear();
}

void LegsRelay::send_release(std::string body) {
  std::string head = decode_head(body.size());
  relays_.release(route_.decoders[decoder_], std::move(head), std::move(body));
}

std::string LegsRelay::added_fields() const {
  std::string fields = leg_fields();
  if (bodies_ && relays_.options().answer.server_timing) {
    append_server_timing(fields);
    if (!is_stream()) append_whole_times(fields);
  }
  return fields;
}

// Of the workers and what is known of the prefill leg.
std::string LegsRelay::leg_fields() const {
  std::string fields = "x-request-id: " + route_.request_id + "\r\n" + route_.more_fields;
  if (const std::string& name = route_.decoders[decoder_].name; !name.empty()) {
    fields += "x-decode-pod: " + name + "\r\n";
  }
  if (legs_ == nullptr || !legs_->report().prefiller) return fields;
  const HandoffReport& report = legs_->report();
  fields += "x-prefill-pod: " + name_of(route_.prefillers[*report.prefiller]) + "\r\n";
  append_ms("x-prefill-time-ms", report.prefill_time.value_or(Duration{}), fields);
  return fields;
}

void LegsRelay::append_server_timing(std::string& fields) const {
  char text[96];
  const Duration first_byte = relays_.loop().now() - decode_begun_;
  if (legs_ != nullptr && legs_->report().prefill_time) {
    std::snprintf(text, sizeof text, "Server-Timing: prefill;dur=%.3f, decode-first-byte;dur=%.3f",
                  to_milliseconds(*legs_->report().prefill_time), to_milliseconds(first_byte));
  } else {
    std::snprintf(text, sizeof text, "Server-Timing: decode-first-byte;dur=%.3f",
                  to_milliseconds(first_byte));
  }
  fields.append(text);
  if (const auto transfer = answer_.find("x-kv-transfer-time-ms")) {
    fields.append(", kv-transfer;dur=").append(*transfer);
  }
  fields.append("\r\n");
}

// An answer that is no stream is complete when its first byte comes.
void LegsRelay::append_whole_times(std::string& fields) const {
  const TimePoint now = relays_.loop().now();
  append_ms("x-decode-time-ms", now - decode_begun_, fields);
  append_ms("x-total-time-ms", now - begun_, fields);
  const std::string_view answer = mode_ == Mode::kWhole ? held_body_ : first_bytes_;
  if (answer.empty() || answer.size() != answer_.content_length()) return;
  if (const auto tokens = completion_tokens_of(answer)) {
    fields += "x-tokens-generated: " + std::to_string(*tokens) + "\r\n";
  }
}

bool LegsRelay::is_stream() const {
  return answer_.find("content-type").value_or("").starts_with("text/event-stream");
}

// nullopt: the decoder's count stays.
std::optional<uint64_t> LegsRelay::new_cached_tokens() const {
  const bool may_be_new = relays_.options().answer.prefill_cached_tokens && legs_ != nullptr &&
                          answer_.status() == kHttpOk && bodies_->says_cached_tokens();
  if (!may_be_new || legs_->report().path != HandoffReport::Path::kTwoLegs) return std::nullopt;
  return legs_->report().cached_tokens;
}

void LegsRelay::on_head(const HttpHead& head) {
  answer_ = head;
  if (first_token_ && (head.status() != kHttpOk || !is_stream())) {
    return cut("the first token was sent, and the decode worker answers " +
               std::to_string(head.status()));
  }
  if (std::exchange(looks_, false) && head.status() == kHttpOk) look_.emplace(is_stream());
}

void LegsRelay::look_at(std::string_view bytes) {
  held_body_ += bytes;
  take_verdict(look_->feed(bytes));
}

void LegsRelay::take_verdict(ThresholdLook::Verdict verdict) {
  if (verdict == ThresholdLook::Verdict::kUndecided) return;
  look_.reset();
  if (verdict == ThresholdLook::Verdict::kBelow) {
    end_decode();
    return legs_->on_below_threshold();
  }
  const std::string held = std::move(held_body_);
  held_body_.clear();
  begin_answer(held);
  if (mode_ != Mode::kRaw) on_body(held);
}

// From here on nothing but the decoder's bytes can follow.
void LegsRelay::begin_answer(std::string_view first_bytes) {
  first_bytes_ = first_bytes;
  if (legs_ != nullptr) legs_->on_decode_begun();
  first_byte_time_ = relays_.loop().now() - begun_;
  const AnswerOptions& wanted = relays_.options().answer;
  const int status = answer_.status();
  const bool bodiless = request_.method() == "HEAD" || is_bodiless(status);
  const std::optional<uint64_t> cached = new_cached_tokens();
  const auto length = answer_.content_length();
  if (cached && !is_stream() && length && *length <= wanted.whole_bytes_max) {
    mode_ = Mode::kWhole;
    return;
  }
  const bool tells_times = bodies_ && is_stream() && status == kHttpOk &&
                           (wanted.timing_trailers || wanted.timing_comment);
  if (tells_times || (cached && is_stream())) usage_ = std::make_unique<UsageStream>(cached);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = request_.minor_version() >= 1;
  const bool may_be_raw = framed && usage_ == nullptr && (modern_client || !answer_.chunked());
  raw_ = may_be_raw ? exchange_->raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(answer_head(answer_, added_fields(), keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    std::string fields = answer_fields(answer_, added_fields());
    if (tells_times && wanted.timing_trailers) {
      fields += kTimingTrailer;
    }
    exchange_->start(status, fields);
  }
  withheld_ = std::string();
  first_bytes_ = {};
}

void LegsRelay::on_body(std::string_view bytes) {
  if (look_) return look_at(bytes);
  if (mode_ == Mode::kHeld) begin_answer(bytes);
  if (mode_ == Mode::kWhole) {
    held_body_ += bytes;
  } else if (mode_ == Mode::kReframed) {
    if (first_token_) {
      legs_->on_decode_begun();
      const std::optional<std::string_view> more = first_token_->feed(bytes);
      if (!more) return cut("the decode worker's first token is not the prefill worker's");
      bytes = *more;
    }
    exchange_->write(usage_ == nullptr ? bytes : usage_->feed(bytes));
  }
}

void LegsRelay::on_raw(std::string_view bytes) {
  if (mode_ == Mode::kHeld) return withheld_.append(bytes), void();  // framing alone is no body yet
  const size_t unsent = mode_ == Mode::kRaw ? raw_->write_raw(bytes) : exchange_->unsent_bytes();
  if (unsent <= relays_.options().unread_bytes_max || paused_) return;
  paused_ = true;
  call_.pause();
}

void LegsRelay::on_drained() {
  if (std::exchange(paused_, false)) call_.resume();
}

void LegsRelay::on_end() {
  call_.ended();
  if (look_) {
    const ThresholdLook::Verdict verdict = look_->end();
    take_verdict(verdict);
    if (verdict == ThresholdLook::Verdict::kBelow) return;
  }
  if (mode_ == Mode::kHeld) begin_answer({});
  const int status = answer_.status();
  decode_time_ = relays_.loop().now() - decode_begun_;
  if (status >= kHttpServerErrors) {
    failed_at_ = LegStage::kDecode;
    observer_->on_decoder_failed(decoder_);
    if (!prefills_.empty()) forget_engine(prefills_.back()->candidate());
  }
  if (mode_ == Mode::kWhole) return finish_whole();
  HttpExchange* const exchange = std::exchange(exchange_, nullptr);
  mode_ == Mode::kRaw ? raw_->finish_raw() : finish_reframed(*exchange);
  finish(status, false);
}

void LegsRelay::finish_whole() {
  const std::string fields = answer_fields(answer_, added_fields());
  if (const std::optional<uint64_t> cached = new_cached_tokens()) {
    if (auto edited = with_cached_tokens(held_body_, *cached)) held_body_ = std::move(*edited);
  }
  const int status = answer_.status();
  std::exchange(exchange_, nullptr)->respond(status, fields, held_body_);
  finish(status, false);
}

// What is known at the end goes behind the decoder's bytes, never between them.
void LegsRelay::finish_reframed(HttpExchange& exchange) {
  if (usage_ == nullptr) return exchange.finish();
  if (first_token_) exchange.write(usage_->feed(first_token_->rest()));
  const std::string_view rest = usage_->rest();
  const bool ends_with_event = rest.empty();
  exchange.write(rest);
  const AnswerOptions& wanted = relays_.options().answer;
  std::string fields;
  append_ms("x-decode-time-ms", *decode_time_, fields);
  append_ms("x-total-time-ms", relays_.loop().now() - begun_, fields);
  if (const auto tokens = usage_->completion_tokens()) {
    fields += "x-tokens-generated: " + std::to_string(*tokens) + "\r\n";
  }
  if (wanted.timing_comment && ends_with_event) {
    std::string comment;
    for (std::string_view lines = fields; !lines.empty();) {
      const size_t end = lines.find("\r\n");
      comment.append(": ").append(lines.substr(0, end)).append("\n");
      lines.remove_prefix(end + 2);
    }
    exchange.write(comment + "\n");
  }
  exchange.finish(wanted.timing_trailers ? fields : std::string());
}

void LegsRelay::on_failure(const HttpFailure& failure) {
  call_.ended();
  observer_->on_decoder_failed(decoder_);
  const std::string why = to_string(route_.decoders[decoder_].address) + ": " + failure.message;
  observer_->on_connection_failed(LegStage::kDecode, why);
  if (mode_ != Mode::kHeld) {
    failed_at_ = LegStage::kDecode;
    if (mode_ == Mode::kWhole) {  // the client has nothing of it
      return refuse({kHttpBadGateway, "decode_upstream_error", "the decode worker: " + why});
    }
    const int status = answer_.status();
    std::exchange(exchange_, nullptr)->abort();
    return finish(status, true);
  }
  if (!prefills_.empty()) forget_engine(prefills_.back()->candidate());
  const bool refused = failure.kind == HttpFailure::Kind::kConnect;
  if (refused && decoder_ + 1 < route_.decoders.size()) {
    ++decoder_;
    return call_decoder(sent_body_);
  }
  failed_at_ = LegStage::kDecode;
  if (legs_ != nullptr) return legs_->on_decode_failed(leg_failure(failure), why);
  std::string_view type = route_.decoder_error;
  if (type.empty()) type = refused ? "ServiceUnavailableError" : "BadGatewayError";
  refuse({refused ? kHttpServiceUnavailable : kHttpBadGateway, type,
          std::string(route_.decoder_words) + ": " + why});
}

void LegsRelay::refuse(const LegRefusal& refusal) {
  why_ = refusal.message;
  if (failed_at_ == LegStage::kNone) failed_at_ = LegStage::kPrefill;
  const ApiError error = leg_error(refusal.status, refusal.code, refusal.message);
  std::string fields = leg_error_fields(error);
  if (refusal.may_pass) fields += kRetryAfterField;
  respond(refusal.status, fields, error_body(error));
}

void LegsRelay::pass_on(size_t leg, int status, std::string_view body) {
  failed_at_ = LegStage::kPrefill;
  std::string fields;
  const PrefillCall& call = *prefills_[leg];
  if (!call.content_type().empty()) {
    fields.append("Content-Type: ").append(call.content_type()).append("\r\n");
  }
  if (!call.retry_after().empty()) {
    fields.append("Retry-After: ").append(call.retry_after()).append("\r\n");
  }
  respond(status, fields, body);
}

void LegsRelay::respond(int status, std::string_view fields, std::string_view body) {
  std::string all(fields);
  all.append("x-request-id: ").append(route_.request_id).append("\r\n");
  all.append(route_.more_fields);
  std::exchange(exchange_, nullptr)->respond(status, all, body);
  finish(status, false);
}

void LegsRelay::on_client_gone() {
  exchange_ = nullptr;
  if (legs_ != nullptr) {
    legs_->on_client_left();
  } else {
    end_decode();
  }
  finish(kHttpClientClosedRequest, mode_ != Mode::kHeld);
}

void LegsRelay::finish(int status, bool is_cut) {
  LegsReport report;
  report.request_id = route_.request_id;
  report.path = request_.path();
  report.status = status;
  report.is_cut = is_cut;
  report.why = why_;
  report.generates = bodies_.has_value();
  report.failed_at = failed_at_;
  report.decode_time = decode_time_;
  report.time = relays_.loop().now() - begun_;
  report.first_byte_time = first_byte_time_;
  std::string prefiller, decoder;
  if (legs_ != nullptr) {
    report.handoff = &legs_->report();
    if (const auto used = report.handoff->prefiller) prefiller = name_of(route_.prefillers[*used]);
    report.prefiller = prefiller;
  }
  if (asked_) decoder = name_of(route_.decoders[decoder_]);
  report.decoder = decoder;
  observer_->on_done(report);
  relays_.loop().post(lifeline_.guard([this] { relays_.remove(*this); }));
}

ReleaseCall::ReleaseCall(LegsRelays& relays, LegWorker decoder, std::string head, std::string body)
    : relays_(relays),
      decoder_(std::move(decoder)),
      body_(std::move(body)),
      call_(relays.clients(), *this) {
  call_.start(decoder_, std::move(head), body_);
}

void ReleaseCall::on_end() {
  call_.ended();
  relays_.remove(*this);
}

}  // namespace kvasir
