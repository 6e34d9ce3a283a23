#include "legs/legs_relay.h"

#include <cstdio>
#include <utility>

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

std::string name_of(const LegWorker& worker) {
  return worker.name.empty() ? to_string(worker.address) : worker.name;
}

}  // namespace

// One prefill leg.
class LegsRelay::PrefillCall final : public HttpCallObserver {
 public:
  PrefillCall(LegsRelay& relay, size_t leg, size_t candidate, std::string body)
      : relay_(relay),
        leg_(leg),
        candidate_(candidate),
        body_(std::move(body)),
        call_(relay.relays_.clients(), *this) {}

  void start() {
    relay_.observer_->on_prefill_sent(candidate_);
    call_.start(
        worker(),
        leg_head(relay_.request_, body_.size(), to_string(worker().address),
                 relay_.observer_->leg_request_id(relay_.route_, candidate_, relay_.decoder_)),
        body_);
  }
  void cancel() {
    call_.cancel();
    tell(LegsObserver::End::kCancelled);
  }
  // Of its end, once.
  void tell(LegsObserver::End end) {
    if (!std::exchange(told_, true)) relay_.observer_->on_prefill_ended(candidate_, end);
  }
  std::string_view content_type() const { return content_type_; }
  std::string_view retry_after() const { return retry_after_; }

 private:
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
    tell(status_ < kHttpServerErrors ? LegsObserver::End::kAnswered : LegsObserver::End::kFailed);
    relay_.legs_->on_prefill_end(leg_);
  }
  void on_failure(const HttpFailure& failure) override {
    call_.ended();
    tell(LegsObserver::End::kFailed);
    relay_.legs_->on_prefill_failed(leg_, leg_failure(failure),
                                    to_string(worker().address) + ": " + failure.message);
  }

  LegsRelay& relay_;
  const size_t leg_, candidate_;
  const std::string body_;
  std::string content_type_, retry_after_;
  int status_ = 0;
  bool told_ = false;
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
      call_(relays.clients(), *this) {}

LegsRelay::~LegsRelay() = default;

void LegsRelay::start() {
  exchange_->set_observer(this);
  call_decoder(exchange_->body());
}

void LegsRelay::start(LegBodies bodies) {
  exchange_->set_observer(this);
  bodies_ = std::move(bodies);
  std::vector<PrefillCandidate> candidates;
  for (const LegWorker& worker : route_.prefillers) {
    candidates.push_back({worker.address.host, worker.address.port, worker.side_port});
  }
  TwoLegs::Carrier& carrier = *this;
  legs_ = std::make_unique<TwoLegs>(relays_.options().handoff, *bodies_, std::move(candidates),
                                    exchange_->body().size() / kBytesPerToken,
                                    relays_.random().next(), relays_.loop(), carrier);
  legs_->start();
}

void LegsRelay::send_prefill(size_t leg, size_t candidate, std::string body) {
  prefills_.push_back(std::make_unique<PrefillCall>(*this, leg, candidate, std::move(body)));
  prefills_.back()->start();
}

void LegsRelay::end_prefill(size_t leg) {
  prefills_[leg]->cancel();
}

void LegsRelay::on_prefill_late(size_t leg) {
  prefills_[leg]->tell(LegsObserver::End::kFailed);
}

void LegsRelay::send_decode(std::string body) {
  decode_body_ = std::move(body);
  call_decoder(decode_body_);
}

std::string LegsRelay::decode_head(size_t body_bytes) {
  std::optional<size_t> prefiller;
  if (legs_ != nullptr) prefiller = legs_->report().prefiller;
  return leg_head(request_, body_bytes, to_string(route_.decoders[decoder_].address),
                  observer_->leg_request_id(route_, prefiller, decoder_));
}

void LegsRelay::call_decoder(std::string_view body) {
  asked_ = true;
  sent_body_ = body;
  call_.start(route_.decoders[decoder_], decode_head(body.size()), body,
              request_.method() == "HEAD");
}

void LegsRelay::end_decode() {
  call_.cancel();
  answer_ = HttpHead();
  withheld_.clear();
}

void LegsRelay::send_release(std::string body) {
  std::string head = decode_head(body.size());
  relays_.release(route_.decoders[decoder_], std::move(head), std::move(body));
}

std::string LegsRelay::added_fields() const {
  std::string fields = "x-request-id: " + route_.request_id + "\r\n";
  if (const std::string& name = route_.decoders[decoder_].name; !name.empty()) {
    fields += "x-decode-pod: " + name + "\r\n";
  }
  if (legs_ == nullptr || !legs_->report().prefiller) return fields;
  const HandoffReport& report = legs_->report();
  fields += "x-prefill-pod: " + name_of(route_.prefillers[*report.prefiller]) + "\r\n";
  char ms[32];
  std::snprintf(ms, sizeof ms, "%.3f", to_milliseconds(report.prefill_time.value_or(Duration{})));
  return fields + "x-prefill-time-ms: " + ms + "\r\n";
}

// From here on nothing but the decoder's bytes can follow.
void LegsRelay::begin_answer() {
  if (legs_ != nullptr) legs_->on_decode_begun();
  first_byte_time_ = relays_.loop().now() - begun_;
  const int status = answer_.status();
  const bool bodiless = request_.method() == "HEAD" || is_bodiless(status);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = request_.minor_version() >= 1;
  raw_ = framed && (modern_client || !answer_.chunked()) ? exchange_->raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(answer_head(answer_, added_fields(), keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    exchange_->start(status, answer_fields(answer_, added_fields()));
  }
  withheld_ = std::string();
}

void LegsRelay::on_body(std::string_view bytes) {
  if (mode_ == Mode::kHeld) begin_answer();
  if (mode_ == Mode::kReframed) exchange_->write(bytes);
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
  if (mode_ == Mode::kHeld) begin_answer();
  HttpExchange* const exchange = std::exchange(exchange_, nullptr);
  const int status = answer_.status();
  if (status >= kHttpServerErrors) observer_->on_decoder_failed(decoder_);
  mode_ == Mode::kRaw ? raw_->finish_raw() : exchange->finish();
  finish(status, false);
}

void LegsRelay::on_failure(const HttpFailure& failure) {
  call_.ended();
  observer_->on_decoder_failed(decoder_);
  if (mode_ != Mode::kHeld) {
    const int status = answer_.status();
    std::exchange(exchange_, nullptr)->abort();
    return finish(status, true);
  }
  const bool refused = failure.kind == HttpFailure::Kind::kConnect;
  if (refused && decoder_ + 1 < route_.decoders.size()) {
    ++decoder_;
    return call_decoder(sent_body_);
  }
  const std::string why = to_string(route_.decoders[decoder_].address) + ": " + failure.message;
  if (legs_ != nullptr) return legs_->on_decode_failed(leg_failure(failure), why);
  refuse({refused ? kHttpServiceUnavailable : kHttpBadGateway, "decode_upstream_error",
          "the decode worker: " + why});
}

void LegsRelay::refuse(const LegRefusal& refusal) {
  why_ = refusal.message;
  const ApiError error = leg_error(refusal.status, refusal.code, refusal.message);
  respond(refusal.status, leg_error_fields(error), error_body(error));
}

void LegsRelay::pass_on(size_t leg, int status, std::string_view body) {
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
