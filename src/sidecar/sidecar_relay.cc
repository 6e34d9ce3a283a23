#include "sidecar/sidecar_relay.h"

#include <cstdio>
#include <utility>

#include "base/integer_text.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "sidecar/sidecar_heads.h"
#include "sidecar/sidecar_thread.h"

namespace kvasir {
namespace {

constexpr uint64_t kBytesPerToken = 4;  // of English, for a deadline

LegFailure leg_failure(const HttpFailure& failure) {
  return failure.kind == HttpFailure::Kind::kConnect ? LegFailure::kNotConnected
                                                     : LegFailure::kBroken;
}

}  // namespace

// One prefill leg.
class SidecarRelay::PrefillCall final : public HttpCallObserver {
 public:
  PrefillCall(SidecarRelay& relay, size_t leg, const HostPort& worker, std::string body)
      : relay_(relay), leg_(leg), worker_(worker), body_(std::move(body)) {}
  ~PrefillCall() override { cancel(); }

  void start() {
    Prefillers& prefillers = relay_.thread_.prefillers();
    client_ = prefillers.find(worker_);
    if (client_ != nullptr) return send();
    look_up_ = prefillers.look_up(worker_, [this](const Result<Prefillers::Client>& found) {
      look_up_.reset();
      if (!found) {
        return relay_.legs_->on_prefill_failed(leg_, LegFailure::kNotConnected,
                                               to_string(worker_) + ": " + found.error().message);
      }
      client_ = *found;
      send();
    });
  }
  void cancel() {
    look_up_.reset();
    if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  }
  std::string_view content_type() const { return content_type_; }
  std::string_view retry_after() const { return retry_after_; }

 private:
  void send() {
    head_ = leg_head(relay_.request_, body_.size(), to_string(worker_), relay_.request_id_);
    call_ = &client_->start(head_, body_, *this);
  }
  void on_head(const HttpHead& head) override {
    content_type_ = head.find("content-type").value_or("");
    retry_after_ = head.find("retry-after").value_or("");
    relay_.legs_->on_prefill_head(leg_, head.status());
  }
  void on_body(std::string_view bytes) override { relay_.legs_->on_prefill_body(leg_, bytes); }
  void on_end() override {
    call_ = nullptr;
    relay_.legs_->on_prefill_end(leg_);
  }
  void on_failure(const HttpFailure& failure) override {
    call_ = nullptr;
    relay_.legs_->on_prefill_failed(leg_, leg_failure(failure),
                                    to_string(worker_) + ": " + failure.message);
  }

  SidecarRelay& relay_;
  const size_t leg_;
  const HostPort worker_;
  std::string head_, body_, content_type_, retry_after_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  Prefillers::Client client_;
  HttpCall* call_ = nullptr;
};

SidecarRelay::SidecarRelay(SidecarThread& thread, HttpExchange& exchange)
    : thread_(thread),
      exchange_(&exchange),
      request_(exchange.head()),
      begun_(thread.loop().now()) {
  const auto given = request_.find("x-request-id");
  request_id_ =
      given && !given->empty() ? std::string(*given) : hexadecimal(thread.random().next());
}

SidecarRelay::~SidecarRelay() {
  if (call_ != nullptr) call_->cancel();
}

void SidecarRelay::start() {
  exchange_->set_observer(this);
  call_decoder(exchange_->body());
}

void SidecarRelay::start(LegBodies bodies, std::vector<HostPort> candidates) {
  exchange_->set_observer(this);
  bodies_ = std::move(bodies);
  candidates_ = std::move(candidates);
  const SidecarOptions& options = thread_.options();
  const bool offloads = options.handoff.dialect == KvDialect::kOffloading;
  std::vector<PrefillCandidate> workers;
  for (const HostPort& worker : candidates_) {
    workers.push_back({worker.host, worker.port,
                       offloads ? options.offloading_port : options.sglang_bootstrap_port});
  }
  TwoLegs::Carrier& carrier = *this;
  legs_ = std::make_unique<TwoLegs>(options.handoff, *bodies_, std::move(workers),
                                    exchange_->body().size() / kBytesPerToken,
                                    thread_.random().next(), thread_.loop(), carrier);
  legs_->start();
}

void SidecarRelay::send_prefill(size_t leg, size_t candidate, std::string body) {
  prefills_.push_back(
      std::make_unique<PrefillCall>(*this, leg, candidates_[candidate], std::move(body)));
  prefills_.back()->start();
}

void SidecarRelay::end_prefill(size_t leg) {
  prefills_[leg]->cancel();
}

void SidecarRelay::send_decode(std::string body) {
  decode_body_ = std::move(body);
  call_decoder(decode_body_);
}

void SidecarRelay::call_decoder(std::string_view body) {
  decode_head_ = leg_head(request_, body.size(), to_string(thread_.options().decoder), request_id_);
  call_ = &thread_.decoder().start(decode_head_, body, *this, request_.method() == "HEAD");
}

void SidecarRelay::end_decode() {
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  answer_ = HttpHead();
  withheld_.clear();
}

void SidecarRelay::send_release(std::string body) {
  std::string head =
      leg_head(request_, body.size(), to_string(thread_.options().decoder), request_id_);
  thread_.release(std::move(head), std::move(body));
}

std::string SidecarRelay::added_fields() const {
  std::string fields = "x-request-id: " + request_id_ + "\r\n";
  if (legs_ == nullptr || !legs_->report().prefiller) return fields;
  const HandoffReport& report = legs_->report();
  fields += "x-prefill-pod: " + to_string(candidates_[*report.prefiller]) + "\r\n";
  char ms[32];
  std::snprintf(ms, sizeof ms, "%.3f", to_milliseconds(report.prefill_time.value_or(Duration{})));
  return fields + "x-prefill-time-ms: " + ms + "\r\n";
}

// From here on nothing but the decoder's bytes can follow.
void SidecarRelay::begin_answer() {
  if (legs_ != nullptr) legs_->on_decode_begun();
  const int status = answer_.status();
  const bool bodiless = request_.method() == "HEAD" || is_bodiless(status);
  const bool framed = answer_.chunked() || answer_.content_length() || bodiless;
  const bool modern_client = request_.minor_version() >= 1;
  raw_ = framed && (modern_client || !answer_.chunked()) ? exchange_->raw() : nullptr;
  if (raw_ != nullptr) {
    mode_ = Mode::kRaw;
    const bool keep_alive = raw_->client_keeps_alive() && modern_client;
    raw_->start_raw(decode_answer_head(answer_, added_fields(), keep_alive), keep_alive);
    if (!withheld_.empty()) raw_->write_raw(withheld_);
  } else {
    mode_ = Mode::kReframed;
    exchange_->start(status, decode_answer_fields(answer_, added_fields()));
  }
  withheld_ = std::string();
}

void SidecarRelay::on_body(std::string_view bytes) {
  if (mode_ == Mode::kHeld) begin_answer();
  if (mode_ == Mode::kReframed) exchange_->write(bytes);
}

void SidecarRelay::on_raw(std::string_view bytes) {
  if (mode_ == Mode::kHeld) return withheld_.append(bytes), void();  // framing alone is no body yet
  const size_t unsent = mode_ == Mode::kRaw ? raw_->write_raw(bytes) : exchange_->unsent_bytes();
  if (unsent <= thread_.options().unread_bytes_max || paused_) return;
  paused_ = true;
  call_->pause();
}

void SidecarRelay::on_drained() {
  if (std::exchange(paused_, false)) call_->resume();
}

void SidecarRelay::on_end() {
  call_ = nullptr;
  if (mode_ == Mode::kHeld) begin_answer();
  HttpExchange* const exchange = std::exchange(exchange_, nullptr);
  const int status = answer_.status();
  mode_ == Mode::kRaw ? raw_->finish_raw() : exchange->finish();
  finish(status, false);
}

void SidecarRelay::on_failure(const HttpFailure& failure) {
  call_ = nullptr;
  if (mode_ != Mode::kHeld) {
    const int status = answer_.status();
    std::exchange(exchange_, nullptr)->abort();
    return finish(status, true);
  }
  const std::string why = to_string(thread_.options().decoder) + ": " + failure.message;
  if (legs_ != nullptr) return legs_->on_decode_failed(leg_failure(failure), why);
  const bool refused = failure.kind == HttpFailure::Kind::kConnect;
  refuse({refused ? kHttpServiceUnavailable : kHttpBadGateway, "decode_upstream_error",
          "the decode worker: " + why});
}

void SidecarRelay::refuse(const LegRefusal& refusal) {
  why_ = refusal.message;
  const ApiError error = sidecar_error(refusal.status, refusal.code, refusal.message);
  respond(refusal.status, sidecar_error_fields(error), error_body(error));
}

void SidecarRelay::pass_on(size_t leg, int status, std::string_view body) {
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

void SidecarRelay::respond(int status, std::string_view fields, std::string_view body) {
  std::string all(fields);
  all.append("x-request-id: ").append(request_id_).append("\r\n");
  std::exchange(exchange_, nullptr)->respond(status, all, body);
  finish(status, false);
}

void SidecarRelay::on_client_gone() {
  exchange_ = nullptr;
  if (legs_ != nullptr) {
    legs_->on_client_left();
  } else {
    end_decode();
  }
  finish(kHttpClientClosedRequest, mode_ != Mode::kHeld);
}

void SidecarRelay::finish(int status, bool is_cut) {
  SidecarReport report;
  report.request_id = request_id_;
  report.path = request_.path();
  report.status = status;
  report.is_cut = is_cut;
  report.why = why_;
  report.time = thread_.loop().now() - begun_;
  std::string prefiller;
  if (legs_ != nullptr) {
    report.handoff = &legs_->report();
    if (const auto used = report.handoff->prefiller) prefiller = to_string(candidates_[*used]);
    report.prefiller = prefiller;
  }
  thread_.probe().on_done(report);
  thread_.loop().post(lifeline_.guard([this] { thread_.remove(*this); }));
}

ReleaseCall::ReleaseCall(SidecarThread& thread, std::string head, std::string body)
    : thread_(thread), head_(std::move(head)), body_(std::move(body)) {
  thread_.decoder().start(head_, body_, *this);
}

void ReleaseCall::on_end() {
  thread_.remove(*this);
}

}  // namespace kvasir
