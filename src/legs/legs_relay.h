// One request on its way: to a prefill worker and then to a decoder, or to a decoder alone. Owns
// itself: it is deleted when the request is over. Private to legs/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifeline.h"
#include "handoff/first_token.h"
#include "handoff/threshold_look.h"
#include "handoff/two_legs.h"
#include "legs/legs_relays.h"
#include "legs/worker_call.h"
#include "net/http/http_call.h"
#include "net/http/http_exchange.h"
#include "wire/kv_transfer/leg_bodies.h"
#include "wire/kv_transfer/usage_stream.h"
#include "wire/trace_context.h"

namespace kvasir {

class LegsRelay final : private HttpCallObserver,
                        private HttpExchange::Observer,
                        private TwoLegs::Carrier {
 public:
  LegsRelay(LegsRelays& relays, HttpExchange& exchange, LegsRoute route,
            std::unique_ptr<LegsObserver> observer);
  ~LegsRelay() override;

  // To a decoder as it came, but for `body`, if there is one.
  void start(std::optional<std::string> body);
  // By the prefillers, if there are any.
  void start(LegBodies bodies);

 private:
  class PrefillCall;
  enum class Mode : uint8_t {
    kHeld,      // nothing of it has gone to the client
    kRaw,       // its bytes go on as they are framed
    kReframed,  // they get a framing of ours, and may change on the way
    kWhole,     // it goes on in one piece when it is complete
  };

  // The decoder's answer.
  void on_head(const HttpHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_raw(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  // The client.
  void on_client_gone() override;
  void on_time_over() override;
  void on_drained() override;
  // What the two legs decide.
  void send_prefill(size_t leg, size_t candidate, std::string body) override;
  void end_prefill(size_t leg) override;
  void find_engine(size_t leg, size_t candidate) override;
  void send_decode_first(std::string body) override;
  void on_prefill_late(size_t leg) override;
  void send_decode(std::string body) override;
  void end_decode() override;
  void send_release(std::string body) override;
  void refuse(const LegRefusal& refusal) override;
  void pass_on(size_t leg, int status, std::string_view body) override;

  void call_decoder(std::string_view body);
  std::string decode_head(size_t body_bytes);
  std::string new_traceparent();
  void forget_engine(size_t candidate);
  void forget_last_engine();  // of the latest prefill leg, if there was one
  void look_at(std::string_view bytes);
  void take_verdict(ThresholdLook::Verdict verdict);
  bool is_stream() const;
  std::optional<uint64_t> new_cached_tokens() const;
  // `first_bytes`: of its body.
  void begin_answer(std::string_view first_bytes);
  std::string added_fields() const;
  std::string leg_fields() const;
  void append_server_timing(std::string& fields) const;
  void append_whole_times(std::string& fields) const;
  void send_first_token();
  void cut(std::string why);
  void finish_whole();
  void finish_reframed(HttpExchange& exchange);
  void respond(int status, std::string_view fields, std::string_view body);
  void end_unanswered(int status);
  // It is over. Goes in a later turn: the two legs may stand further up on the stack.
  void finish(int status, bool is_cut);

  LegsRelays& relays_;
  HttpExchange* exchange_;  // null: it is answered, or its client has left
  const HttpHead request_;  // outlives the exchange, for a release
  const TimePoint begun_;
  const LegsRoute route_;
  const std::unique_ptr<LegsObserver> observer_;
  std::optional<LegBodies> bodies_;
  std::unique_ptr<TwoLegs> legs_;  // null: there is one leg only
  std::vector<std::unique_ptr<PrefillCall>> prefills_;

  WorkerCall call_;     // to the decoder
  size_t decoder_ = 0;  // which one
  bool asked_ = false;  // it, or one before it
  std::string decode_body_;
  std::string_view sent_body_;  // as the decoder got it
  HttpHead answer_;             // withheld until the first byte of its body
  std::string withheld_;        // framing before it
  RawRelay* raw_ = nullptr;
  Mode mode_ = Mode::kHeld;
  bool paused_ = false;
  std::string_view first_bytes_;  // during begin_answer()
  std::optional<Duration> first_byte_time_;
  std::optional<TraceContext> trace_;
  std::optional<FirstToken> first_token_;  // that was sent
  bool looks_ = false;                  // the decoder is asked first
  std::optional<ThresholdLook> look_;   // at its answer
  std::string held_body_;               // without framing: while looking, or of kWhole
  std::unique_ptr<UsageStream> usage_;  // of kReframed, when something of it is wanted
  std::string why_;  // of an error that is our own
  LegStage failed_at_ = LegStage::kNone;
  TimePoint decode_begun_{};
  std::optional<Duration> decode_time_;
  Lifeline lifeline_;
};

// A decode leg of one token for a handoff whose client has left. Owns itself, as a relay does.
class ReleaseCall final : private HttpCallObserver {
 public:
  ReleaseCall(LegsRelays& relays, LegWorker decoder, std::string head, std::string body);

 private:
  void on_head(const HttpHead&) override {}
  void on_end() override;
  void on_failure(const HttpFailure&) override { on_end(); }

  LegsRelays& relays_;
  const LegWorker decoder_;
  const std::string body_;
  WorkerCall call_;
};

}  // namespace kvasir
