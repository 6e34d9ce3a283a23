#include "handoff/two_legs.h"

#include <algorithm>
#include <utility>

#include "wire/kv_transfer/prefill_handoff.h"

namespace kvasir {
namespace {

constexpr int kRequestTimeout = 408;
constexpr int kTooManyRequests = 429;
constexpr int kBadGateway = 502;
constexpr int kUnavailable = 503;
constexpr int kGatewayTimeout = 504;

bool is_success(int status) {
  return status / 100 == 2;
}

// The request itself is refused: every worker would.
bool is_the_clients(int status) {
  return status / 100 == 4 && status != kRequestTimeout && status != kTooManyRequests;
}

// Whether what a prefiller answers with is looked at.
bool hands_over_in_answer(KvDialect dialect) {
  return dialect == KvDialect::kNixl || dialect == KvDialect::kNixlV2;
}

// Whether what the two workers tell each other is of one prompt. Others find the blocks of each by
// its text, a room or an id of its own.
bool hands_over_one_prompt(KvDialect dialect) {
  return hands_over_in_answer(dialect) || dialect == KvDialect::kMooncake ||
         dialect == KvDialect::kOffloading;
}

// The worker may be back in a moment.
bool may_pass(int status) {
  return status == kBadGateway || status == kUnavailable || status == kGatewayTimeout;
}

LegRefusal refusal_of(LegFailure failure, std::string_view why) {
  if (failure == LegFailure::kTimeout) {
    return {kGatewayTimeout, "prefill_upstream_timeout", std::string(why)};
  }
  if (failure == LegFailure::kNoRoom) {
    return {kUnavailable, "prefill_upstream_error", std::string(why), true};
  }
  return {kBadGateway, "prefill_upstream_error", "the prefill worker: " + std::string(why)};
}

}  // namespace

TwoLegs::TwoLegs(const HandoffOptions& options, const LegBodies& bodies,
                 std::vector<PrefillCandidate> candidates, uint64_t prompt_tokens, uint64_t unique,
                 Executor& executor, Carrier& carrier)
    : options_(options),
      bodies_(bodies),
      candidates_(std::move(candidates)),
      prompt_tokens_(prompt_tokens),
      unique_(unique),
      executor_(executor),
      carrier_(carrier) {}

TwoLegs::~TwoLegs() {
  executor_.cancel(hedge_);
  executor_.cancel(retry_);
  for (const Leg& leg : legs_) executor_.cancel(leg.deadline);
}

bool TwoLegs::others_can_decode() const {
  const bool in_a_store =
      options_.dialect == KvDialect::kLmcache || options_.dialect == KvDialect::kSharedStorage;
  return in_a_store || report_.path != HandoffReport::Path::kTwoLegs;
}

bool TwoLegs::is_concurrent() const {
  return options_.dialect == KvDialect::kSglang || options_.dialect == KvDialect::kMooncake ||
         options_.dialect == KvDialect::kOffloading;
}

void TwoLegs::start() {
  begun_ = executor_.now();
  const KvDialect dialect = options_.dialect;
  const bool several = hands_over_one_prompt(dialect) && bodies_.has_several_prompts();
  if (several) kv_source_.reset();
  const bool alone = several || (hands_over_in_answer(dialect) && bodies_.wants_one_worker());
  if (candidates_.empty() || alone) return decode_alone(HandoffReport::Path::kLocal);
  if (dialect == KvDialect::kSharedStorage && bodies_.has_cache_hit_threshold()) {
    state_ = State::kLooking;
    decode_sent_ = true;
    return carrier_.send_decode_first(bodies_.local());
  }
  send_prefill();
}

void TwoLegs::on_below_threshold() {
  if (state_ != State::kLooking) return;
  state_ = State::kPrefilling;
  decode_sent_ = false;
  send_prefill();
}

// Whether there is one for another leg.
bool TwoLegs::find_candidate() {
  if (next_candidate_ >= options_.prefill_attempts_most) return false;
  if (next_candidate_ < candidates_.size()) return true;
  std::optional<PrefillCandidate> other = carrier_.another_candidate();
  if (other) candidates_.push_back(std::move(*other));
  return other.has_value();
}

void TwoLegs::send_prefill() {
  retries_ = 0;
  send_prefill_to(next_candidate_++);
}

void TwoLegs::send_prefill_to(size_t candidate) {
  const size_t leg = legs_.size();
  legs_.emplace_back();
  legs_[leg].candidate = candidate;
  legs_[leg].running = true;
  report_.prefills = legs_.size();
  const Duration deadline =
      options_.prefill_deadline + prompt_tokens_ * options_.prefill_deadline_per_token;
  legs_[leg].deadline = executor_.after(deadline, [this, leg] {
    legs_[leg].deadline = kNoTimer;
    carrier_.on_prefill_late(leg);
    carrier_.end_prefill(leg);
    on_prefill_failed(leg, LegFailure::kTimeout, "the prefill worker has not answered in time");
  });
  if (options_.dialect == KvDialect::kMooncake) return carrier_.find_engine(leg, candidate);
  if (is_concurrent()) return send_both(leg, {});
  if (options_.hedge_after > Duration::zero() && leg == 0) {
    hedge_ = executor_.after(options_.hedge_after, [this] {
      hedge_ = kNoTimer;
      hedge();
    });
  }
  const std::string params = prefill_params();
  carrier_.send_prefill(leg, candidate, bodies_.prefill(options_.dialect, {params, {}}));
}

std::string TwoLegs::prefill_params() const {
  if (options_.dialect != KvDialect::kNixlV2) return "";
  std::string params(kNixlPrefillParams);
  if (!kv_source_) return params;
  params.back() = ',';
  return params + "\"remote_kv_source\":" + offloading_peer(unique_, *kv_source_) + "}";
}

void TwoLegs::on_engine(size_t leg, const PrefillEngine& engine) {
  if (legs_[leg].running && state_ == State::kPrefilling) send_both(leg, engine);
}

void TwoLegs::send_both(size_t leg, const PrefillEngine& engine) {
  const size_t candidate = legs_[leg].candidate;
  const ConcurrentFields both(
      options_.dialect, candidates_[candidate],
      {unique_, leg, bodies_.prompts(), engine, kv_source_ ? &*kv_source_ : nullptr});
  state_ = State::kDecoding;
  decode_sent_ = true;
  carrier_.send_prefill(leg, candidate, bodies_.prefill(options_.dialect, both.prefill()));
  // A prefill that failed at once may have led to the next one, or to the end.
  if (!legs_[leg].running || state_ != State::kDecoding) return;
  carrier_.send_decode(bodies_.decode(options_.dialect, both.decode()));
}

size_t TwoLegs::prefills_running() const {
  const auto runs = [](const Leg& leg) { return leg.running; };
  return static_cast<size_t>(std::count_if(legs_.begin(), legs_.end(), runs));
}

void TwoLegs::hedge() {
  if (!find_candidate()) return;
  report_.hedged = true;
  send_prefill();
}

void TwoLegs::on_prefill_doubtful(size_t index) {
  if (state_ != State::kPrefilling || !legs_[index].running) return;
  if (prefills_running() > 1) return;
  executor_.cancel(std::exchange(hedge_, kNoTimer));
  hedge();
}

void TwoLegs::on_prefill_head(size_t leg, int status) {
  legs_[leg].status = status;
}

void TwoLegs::on_prefill_body(size_t index, std::string_view bytes) {
  Leg& leg = legs_[index];
  if (!leg.running) return;
  if (is_success(leg.status) && !hands_over_in_answer(options_.dialect)) return;
  const size_t room = options_.prefill_answer_bytes_max - leg.body.size();
  leg.body += bytes.substr(0, room);
  if (bytes.size() <= room || !is_success(leg.status)) return;
  end(leg);
  carrier_.end_prefill(index);
  refuse({kBadGateway, "prefill_response_too_large",
          "the prefill worker's answer is larger than " +
              std::to_string(options_.prefill_answer_bytes_max) + " bytes"});
}

void TwoLegs::on_prefill_end(size_t index) {
  Leg& leg = legs_[index];
  if (!leg.running || state_ == State::kFinished) return;
  end(leg);
  if (is_success(leg.status)) {
    executor_.cancel(std::exchange(hedge_, kNoTimer));
    report_.prefiller = leg.candidate;
    answered_ = index;
    report_.prefill_time = executor_.now() - begun_;
    end_prefills();
    if (!is_concurrent()) hand_over(leg);
    return;
  }
  if (state_ == State::kAnswering) return;  // the decoder had what it needed
  if (leg.status / 100 == 3) {  // nobody follows it, and the client has nothing to do there
    const std::string why = "it answers " + std::to_string(leg.status);
    return failed({std::nullopt, refusal_of(LegFailure::kBroken, why), leg.candidate, false});
  }
  LastFailure failure{index,
                      {leg.status, "prefill_upstream_error", {}},
                      leg.candidate,
                      may_pass(leg.status)};
  if (!is_the_clients(leg.status)) return failed(std::move(failure));
  end_prefills();
  end_decode();
  report_.path = HandoffReport::Path::kRefused;
  finish();
  carrier_.pass_on(index, leg.status, leg.body);
}

void TwoLegs::on_prefill_failed(size_t index, LegFailure failure, std::string_view why) {
  Leg& leg = legs_[index];
  if (!leg.running || state_ == State::kFinished) return;
  end(leg);
  if (state_ == State::kAnswering) return;
  failed({std::nullopt, refusal_of(failure, why), leg.candidate, failure != LegFailure::kTimeout});
}

void TwoLegs::end(Leg& leg) {
  leg.running = false;
  executor_.cancel(std::exchange(leg.deadline, kNoTimer));
}

void TwoLegs::end_prefills() {
  for (size_t i = 0; i < legs_.size(); ++i) {
    if (!legs_[i].running) continue;
    end(legs_[i]);
    carrier_.end_prefill(i);
  }
}

void TwoLegs::failed(LastFailure failure) {
  last_failure_ = std::move(failure);
  if (prefills_running() > 0) return;  // the other one may answer
  executor_.cancel(std::exchange(hedge_, kNoTimer));
  end_decode();
  send_next_or_fail();
}

// Of a concurrent dialect, that waits for a prefill in vain.
void TwoLegs::end_decode() {
  if (!is_concurrent()) return;
  state_ = State::kPrefilling;
  if (std::exchange(decode_sent_, false)) carrier_.end_decode();
}

void TwoLegs::send_next_or_fail() {
  if (last_failure_.may_pass && retries_ < options_.prefill_retries_most) {
    ++retries_;
    retry_ = executor_.after(options_.prefill_retry_backoff, [this] {
      retry_ = kNoTimer;
      send_prefill_to(last_failure_.candidate);
    });
    return;
  }
  if (find_candidate()) return send_prefill();
  if (options_.on_prefill_failure == HandoffOptions::OnPrefillFailure::kLocalDecode) {
    return decode_alone(HandoffReport::Path::kLocal);
  }
  if (!last_failure_.answered) return refuse(last_failure_.refusal);
  report_.path = HandoffReport::Path::kRefused;
  finish();
  const Leg& leg = legs_[*last_failure_.answered];
  carrier_.pass_on(*last_failure_.answered, leg.status, leg.body);
}

void TwoLegs::hand_over(const Leg& leg) {
  if (!hands_over_in_answer(options_.dialect)) return decode(HandoffReport::Path::kTwoLegs, {});
  const bool by_members = options_.dialect == KvDialect::kNixl;
  const NixlMembers members = by_members ? read_nixl_handoff(leg.body) : NixlMembers{};
  const PrefillHandoff handoff = by_members ? members.handoff : read_nixl_v2_handoff(leg.body);
  report_.problem = handoff.problem;
  report_.blocks = handoff.blocks;
  report_.tokens = handoff.tokens;
  report_.cached_tokens = handoff.cached_tokens;
  switch (handoff.state) {
    case PrefillHandoff::State::kInvalid:
      return refuse({kBadGateway, "invalid_prefill_handoff",
                     "what the prefill worker hands over cannot be used: " + handoff.problem});
    case PrefillHandoff::State::kNone:
      if (options_.on_no_handoff == HandoffOptions::OnNoHandoff::kError) {
        return refuse({kBadGateway, "invalid_prefill_handoff",
                       "the prefill worker handed nothing over; its engine has no KV connector, "
                       "or the answer ended before its first token"});
      }
      return decode_alone(HandoffReport::Path::kNoHandoff);
    case PrefillHandoff::State::kEmpty:
      return decode_alone(HandoffReport::Path::kNoHandoff);
    case PrefillHandoff::State::kUsable:
      break;
  }
  handed_members_ = {{{"remote_block_ids", members.block_ids},
                      {"remote_engine_id", members.engine_id},
                      {"remote_host", members.host},
                      {"remote_port", members.port}}};
  handoff_ = {handoff.params, {}};
  if (by_members) handoff_.members = handed_members_;
  is_unfetched_ = true;
  decode(HandoffReport::Path::kTwoLegs, handoff_);
}

void TwoLegs::decode(HandoffReport::Path path, const LegFields& fields) {
  report_.path = path;
  state_ = State::kDecoding;
  decode_sent_ = true;
  carrier_.send_decode(bodies_.decode(options_.dialect, fields));
}

void TwoLegs::decode_alone(HandoffReport::Path path) {
  report_.path = path;
  state_ = State::kDecoding;
  decode_sent_ = true;
  if (!kv_source_) return carrier_.send_decode(bodies_.local());
  const std::string params =
      "{\"remote_kv_source\":" + offloading_peer(unique_, *kv_source_) + "}";
  carrier_.send_decode(bodies_.decode(options_.dialect, {params, {}}));
}

void TwoLegs::on_decode_begun() {
  if (state_ == State::kFinished) return;
  if (state_ == State::kLooking) report_.path = HandoffReport::Path::kLocal;
  if (is_concurrent() && report_.path == HandoffReport::Path::kUndecided) {
    report_.path = HandoffReport::Path::kTwoLegs;
  }
  state_ = State::kAnswering;
  is_unfetched_ = false;
}

void TwoLegs::on_decode_failed(LegFailure failure, std::string_view why) {
  if (state_ != State::kDecoding && state_ != State::kLooking) return;
  const bool refused = failure == LegFailure::kNotConnected;
  refuse({refused ? kUnavailable : kBadGateway, "decode_upstream_error",
          "the decode worker: " + std::string(why)});
}

void TwoLegs::on_client_left() {
  if (state_ == State::kFinished) return;
  const bool decoding = decode_sent_;
  end_prefills();
  finish();
  if (decoding) carrier_.end_decode();
  if (is_unfetched_) carrier_.send_release(bodies_.release(options_.dialect, handoff_));
}

void TwoLegs::refuse(const LegRefusal& refusal) {
  end_prefills();
  report_.path = HandoffReport::Path::kRefused;
  finish();
  carrier_.refuse(refusal);
}

void TwoLegs::finish() {
  state_ = State::kFinished;
  executor_.cancel(std::exchange(hedge_, kNoTimer));
  executor_.cancel(std::exchange(retry_, kNoTimer));
}

}  // namespace kvasir
