#include "legs/legs_relay.h"

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

HostPort bootstrap_of(const LegWorker& worker) {
  return {worker.address.host, worker.side_port};
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

void LegsRelay::forget_last_engine() {
  if (!prefills_.empty()) forget_engine(prefills_.back()->candidate());
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
  if (HttpExchange::Watcher* watcher = exchange_ == nullptr ? nullptr : exchange_->watcher()) {
    watcher->on_sent_to(route_.decoders[decoder_].shown_name());
  }
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
  forget_last_engine();
  const bool refused = failure.kind == HttpFailure::Kind::kConnect;
  if (refused && decoder_ + 1 < route_.decoders.size()) {
    ++decoder_;
    return call_decoder(sent_body_);
  }
  failed_at_ = LegStage::kDecode;
  if (legs_ != nullptr) return legs_->on_decode_failed(leg_failure(failure), why);
  std::string_view type = route_.decoder_error;
  const int status = refused ? kHttpServiceUnavailable : route_.broken_status;
  if (type.empty()) {
    type = status == kHttpServiceUnavailable ? "ServiceUnavailableError" : "BadGatewayError";
  }
  refuse({status, type, std::string(route_.decoder_words) + ": " + why});
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
  end_unanswered(kHttpClientClosedRequest);
}

void LegsRelay::on_time_over() {
  why_ = "the time that its route gives it is over";
  end_unanswered(mode_ == Mode::kHeld ? kHttpGatewayTimeout : answer_.status());
}

void LegsRelay::end_unanswered(int status) {
  exchange_ = nullptr;
  if (legs_ != nullptr) {
    legs_->on_client_left();
  } else {
    end_decode();
  }
  finish(status, mode_ != Mode::kHeld);
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
    if (const auto used = report.handoff->prefiller)
      prefiller = route_.prefillers[*used].shown_name();
    report.prefiller = prefiller;
  }
  if (asked_) decoder = route_.decoders[decoder_].shown_name();
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
