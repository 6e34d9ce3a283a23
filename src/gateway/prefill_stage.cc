#include "gateway/prefill_stage.h"

#include <cstdio>
#include <utility>

#include "gateway/failure_words.h"
#include "gateway/pool_relays.h"
#include "gateway/relay_head.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "serving/journey.h"

namespace kvasir {
namespace {

constexpr std::string_view kNoAddressWords = "its address is not known";
constexpr std::string_view kTooLateWords = "it has not answered in time";

RetryReason reason_of(const HttpFailure& failure) {
  if (is_closed(failure)) return RetryReason::kClosed;
  if (failure.kind == HttpFailure::Kind::kConnect) return RetryReason::kNotConnected;
  return failure.kind == HttpFailure::Kind::kMalformed ? RetryReason::kMalformed
                                                       : RetryReason::kTooLate;
}

std::string milliseconds_text(Duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", to_milliseconds(time));
  return text;
}

}  // namespace

// One prefill leg.
class PrefillStage::Call final : public HttpCallObserver {
 public:
  Call(PrefillStage& stage, size_t leg, PoolRelays::Upstream& upstream, std::string body)
      : stage_(stage),
        leg_(leg),
        body_(std::move(body)),
        head_(upstream_request_head(stage.request_, body_.size(), upstream.host,
                                    stage.journey_.names().request_id)) {
    // What one connection was closed on is not risked on a kept-alive one.
    call_ = &upstream.client->start(head_, body_, *this, false, stage.closed_ > 0);
  }
  ~Call() override { cancel(); }

  void cancel() {
    if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
  }
  // Of its answer: what a client is to see of an error.
  const std::string& fields() const { return fields_; }

 private:
  void on_head(const HttpHead& head) override {
    status_ = head.status();
    for (const char* name : {"Content-Type", "Retry-After"}) {
      const auto value = head.find(name);
      if (value) fields_.append(name).append(": ").append(*value).append("\r\n");
    }
    stage_.legs_->on_prefill_head(leg_, status_);
  }
  void on_body(std::string_view bytes) override { stage_.legs_->on_prefill_body(leg_, bytes); }
  void on_end() override {
    call_ = nullptr;
    stage_.on_answered(leg_, status_);
  }
  void on_failure(const HttpFailure& failure) override {
    call_ = nullptr;
    stage_.on_failed(leg_, failure);
  }

  PrefillStage& stage_;
  const size_t leg_;
  const std::string body_;
  const std::string head_;
  HttpCall* call_ = nullptr;
  int status_ = 0;
  std::string fields_;
};

PrefillStage::PrefillStage(PoolRelays& relays, Journey& journey, const HttpHead& request,
                           LegBodies bodies, uint32_t attempts_max, Owner& owner)
    : relays_(relays),
      journey_(journey),
      owner_(owner),
      request_(request),
      bodies_(std::move(bodies)),
      attempts_max_(attempts_max),
      begun_(relays.loop().now()),
      conduct_(relays.pool()) {}

PrefillStage::~PrefillStage() = default;

void PrefillStage::start() {
  std::vector<PrefillCandidate> first;
  if (auto candidate = begin_leg()) first.push_back(std::move(*candidate));
  TwoLegs::Carrier& carrier = *this;
  legs_ = std::make_unique<TwoLegs>(relays_.options().handoff, bodies_, std::move(first),
                                    journey_.request().prompt_tokens,
                                    relays_.pool_thread().random().next(), relays_.loop(), carrier);
  legs_->start();
}

// The journey's prefill legs and those of TwoLegs are counted alike: each candidate has one.
std::optional<PrefillCandidate> PrefillStage::begin_leg() {
  const std::optional<size_t> leg = journey_.begin_prefill();
  if (!leg) return std::nullopt;
  const Endpoint& endpoint = journey_.prefill_endpoint(*leg);
  return PrefillCandidate{endpoint.host, endpoint.port, relays_.options().handoff.side_port()};
}

std::optional<PrefillCandidate> PrefillStage::another_candidate() {
  if (calls_.size() >= attempts_max_) return std::nullopt;
  if (closed_ > relays_.options().closed_retries_max) {
    relays_.probe().on_poison(journey_.names().request_id, closed_);
    return std::nullopt;
  }
  std::optional<PrefillCandidate> candidate = begin_leg();
  if (candidate && failed_) {
    relays_.probe().on_retry(journey_.prefill_endpoint(failed_->leg), failed_->reason,
                             "prefill: " + failed_->detail);
    failed_.reset();
  }
  return candidate;
}

void PrefillStage::send_prefill(size_t leg, size_t, std::string body) {
  PoolRelays::Upstream* upstream = relays_.upstream(journey_.prefill_id(leg));
  if (upstream != nullptr) {
    calls_.push_back(std::make_unique<Call>(*this, leg, *upstream, std::move(body)));
    return;
  }
  calls_.push_back(nullptr);
  relays_.loop().post(lifeline_.guard([this, leg] { on_no_address(leg); }));
}

void PrefillStage::end_prefill(size_t leg) {
  if (calls_[leg] != nullptr) calls_[leg]->cancel();
  journey_.end_prefill(leg);
}

void PrefillStage::on_prefill_late(size_t leg) {
  conduct_of(leg).faulty();
  note_failure(leg, RetryReason::kTooLate, std::string(kTooLateWords));
}

EndpointConduct& PrefillStage::conduct_of(size_t leg) {
  conduct_.sent_to(journey_.prefill_id(leg));
  return conduct_;
}

// Its booking ends before the next leg is sent: the endpoint is free for others.
void PrefillStage::on_answered(size_t leg, int status) {
  journey_.end_prefill(leg);
  EndpointConduct& conduct = conduct_of(leg);
  if (status == kHttpTooManyRequests) {
    conduct.full();
    note_failure(leg, RetryReason::kTooManyRequests, "it answered 429");
  } else if (status >= kHttpServerErrors) {
    conduct.blame();
    note_failure(leg, RetryReason::kServerError, "it answered " + std::to_string(status));
  } else {
    conduct.good();
    conduct.answered();
    if (status < kHttpRedirects) journey_.prefilled(leg, relays_.loop().now() - begun_);
  }
  legs_->on_prefill_end(leg);
}

void PrefillStage::on_failed(size_t leg, const HttpFailure& failure) {
  using Kind = HttpFailure::Kind;
  journey_.end_prefill(leg);
  EndpointConduct& conduct = conduct_of(leg);
  const bool closed = is_closed(failure);
  if (failure.kind == Kind::kConnect) conduct.not_connected();
  if (failure.kind == Kind::kClosed) conduct.closed();
  closed || failure.kind == Kind::kMalformed ? conduct.blame() : conduct.faulty();
  if (closed) ++closed_;
  const std::string words = plain_words(failure, relays_.options().client);
  note_failure(leg, reason_of(failure), words);
  const bool connected = closed || failure.kind != Kind::kConnect;
  legs_->on_prefill_failed(leg, connected ? LegFailure::kBroken : LegFailure::kNotConnected,
                           journey_.prefill_endpoint(leg).name + ": " + words);
}

void PrefillStage::on_no_address(size_t leg) {
  journey_.end_prefill(leg);
  note_failure(leg, RetryReason::kNoAddress, std::string(kNoAddressWords));
  const std::string& name = journey_.prefill_endpoint(leg).name;
  legs_->on_prefill_failed(leg, LegFailure::kNotConnected,
                           name + ": " + std::string(kNoAddressWords));
}

void PrefillStage::note_failure(size_t leg, RetryReason reason, std::string detail) {
  failed_ = Failed{leg, reason, std::move(detail)};
}

void PrefillStage::on_endpoint_down(EndpointId endpoint) {
  for (size_t leg = 0; leg < calls_.size(); ++leg) {
    if (journey_.prefill_id(leg) == endpoint) legs_->on_prefill_doubtful(leg);
  }
}

void PrefillStage::send_decode(std::string body) {
  using Path = HandoffReport::Path;
  const Path path = legs_->report().path;
  if (path == Path::kLocal || path == Path::kNoHandoff) {
    conduct_.unanswered();
    journey_.prefill_together();
  }
  decode_body_ = std::move(body);
  decode_begun_ = relays_.loop().now();
  owner_.send_decode();
}

void PrefillStage::send_release(std::string body) {
  const EndpointId decoder = journey_.decision().endpoint;
  released_ = relays_.release(decoder, request_, journey_.names().request_id, std::move(body));
}

void PrefillStage::refuse(const LegRefusal& refusal) {
  const HandoffReport& report = legs_->report();
  refused_ = refusal.code;
  conduct_.unanswered();
  // What it hands over is of no use to anybody.
  if (report.prefiller && !report.problem.empty()) conduct_of(*report.prefiller).faulty();
  owner_.refuse_legs(refusal);
}

void PrefillStage::pass_on(size_t leg, int status, std::string_view body) {
  refused_ = "prefill_upstream_error";
  conduct_.unanswered();
  std::string fields = calls_[leg]->fields();
  fields.append("x-prefill-pod: ").append(journey_.prefill_endpoint(leg).name).append("\r\n");
  owner_.pass_on_prefill(status, fields, body);
}

std::string PrefillStage::answer_fields(std::string_view decoder) const {
  const HandoffReport& report = legs_->report();
  std::string fields = "x-decode-pod: " + std::string(decoder) + "\r\n";
  if (report.path == HandoffReport::Path::kTwoLegs) {
    const size_t leg = report.prefiller.value_or(calls_.size() - 1);
    fields.append("x-prefill-pod: ").append(journey_.prefill_endpoint(leg).name).append("\r\n");
  }
  fields.append("Server-Timing: scheduling;dur=");
  fields.append(milliseconds_text(journey_.preparing() + journey_.scheduling()));
  std::string prefill;
  if (report.prefill_time) prefill = milliseconds_text(*report.prefill_time);
  if (!prefill.empty()) fields.append(", prefill;dur=").append(prefill);
  fields.append(", decode-first-byte;dur=");
  fields.append(milliseconds_text(relays_.loop().now() - decode_begun_)).append("\r\n");
  if (!prefill.empty()) fields.append("x-prefill-time-ms: ").append(prefill).append("\r\n");
  return fields;
}

void PrefillStage::report() const {
  relays_.probe().on_two_legs({legs_->report(), refused_, released_});
}

}  // namespace kvasir
