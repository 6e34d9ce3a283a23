// A request whose prompt is prefilled by one worker and whose answer is decoded by another, as far
// as it is the same wherever it runs: in the gateway, the sidecar, the proxy of the tutorial. What
// goes where and when, what a failure leads to. Without I/O: who owns it carries the bytes, and
// tells it what came of them.
//
// Serial dialects: the prefill leg is sent, its answer read, then the decode leg is sent.
// Concurrent ones (kSglang, kMooncake, kOffloading): both at once; the decoder waits for KV by
// itself. kSharedStorage of a request with cache_hit_threshold: the decoder is asked first, and the
// prefill leg is sent when it has too little of the prompt.
//
// What holds, whatever happens:
// - A worker that answered a prefill leg with 200, to its end, was the last one that is asked to
//   prefill.
// - The decoder sees a handoff that it can use, or none.
// - Once the decoder's answer has begun, the only thing that is left is to cut it.
// - A client that leaves ends both legs. A handoff that nobody has fetched is fetched all the same
//   (a decode leg of one token), since a prefiller has no call that releases it.
//
// Lives on its executor; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "handoff/concurrent_fields.h"
#include "handoff/handoff_options.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

// Why there is no answer from a leg.
enum class LegFailure : uint8_t {
  kNotConnected,  // nothing was sent
  kBroken,        // the connection ended before the answer did, or the answer is no HTTP
  kTimeout,       // the prefill deadline; told by TwoLegs itself
  kNoRoom,        // nothing was sent, for the worker has no room for the prompt
};

// What the client is told instead of an answer.
struct LegRefusal {
  int status = 502;
  // Of the contract that Dynamo published for adapters: prefill_upstream_error,
  // prefill_upstream_timeout, prefill_response_too_large, invalid_prefill_handoff,
  // decode_upstream_error.
  std::string_view code;
  std::string message;
  bool may_pass = false;  // soon: the client may try again
};

// What became of a request, for metrics and headers; times are those of the executor.
struct HandoffReport {
  enum class Path : uint8_t {
    kUndecided,
    kTwoLegs,    // decode got a handoff
    kNoHandoff,  // the prefill answered, and decode computes the prompt again
    kLocal,      // no candidate, or policy after their failures
    kRefused,    // the client got an error
  };
  Path path = Path::kUndecided;
  size_t prefills = 0;                   // legs that were sent
  bool hedged = false;                   // two at once
  std::optional<size_t> prefiller;       // the candidate whose answer counted
  std::optional<Duration> prefill_time;  // from the first leg's start to that answer's end
  uint64_t blocks = 0;                   // that were handed over
  std::optional<uint64_t> tokens;        // the same, when the prefiller says
  std::optional<uint64_t> cached_tokens;  // of the prompt at the prefiller, when it says
  std::string problem;                   // of the handoff
};

class TwoLegs {
 public:
  // Carries out what TwoLegs decides. It may call back from inside of these, but not destroy the
  // TwoLegs: only from send_decode(), refuse() and pass_on(), which come last.
  class Carrier {
   public:
    virtual ~Carrier() = default;
    // `leg`: names this one in what is told of it later. The body is the carrier's.
    virtual void send_prefill(size_t leg, size_t candidate, std::string body) = 0;
    virtual void end_prefill(size_t leg) = 0;  // its connection is closed, nothing more is told
    // The deadline of that leg has passed; end_prefill() follows.
    virtual void on_prefill_late(size_t leg) { static_cast<void>(leg); }
    // kMooncake, before the leg is sent: tell on_engine() which engine the candidate is, or
    // on_prefill_failed(). A carrier that speaks the dialect overrides it.
    virtual void find_engine(size_t leg, size_t candidate) {
      static_cast<void>(leg), static_cast<void>(candidate);
    }
    // kSharedStorage, before any prefill: a decode leg whose answer may be "cache_threshold" and no
    // text. Who can hold it back until that is known tells on_below_threshold() then; else it is
    // the client's.
    virtual void send_decode_first(std::string body) { send_decode(std::move(body)); }
    // The candidates are used up, and another one is welcome; nullopt: there is none.
    virtual std::optional<PrefillCandidate> another_candidate() { return std::nullopt; }
    // The decoder's answer is the client's. Of concurrent dialects it is sent anew, after
    // end_decode(), for each prefill candidate.
    virtual void send_decode(std::string body) = 0;
    virtual void end_decode() = 0;
    // A decode leg that nobody waits for: its answer is dropped.
    virtual void send_release(std::string body) = 0;
    virtual void refuse(const LegRefusal& refusal) = 0;
    // The prefiller's own answer is the client's: it refused what the decoder would refuse.
    virtual void pass_on(size_t leg, int status, std::string_view body) = 0;
  };

  // What is referred to outlives it. `prompt_tokens`: as far as is known, for the deadline.
  // `unique`: of this request; rooms and ids are made of it.
  TwoLegs(const HandoffOptions& options, const LegBodies& bodies,
          std::vector<PrefillCandidate> candidates, uint64_t prompt_tokens, uint64_t unique,
          Executor& executor, Carrier& carrier);
  ~TwoLegs();
  TwoLegs(const TwoLegs&) = delete;
  TwoLegs& operator=(const TwoLegs&) = delete;

  // Before start(): the worker of `source` has more of the prompt in its cache than whoever
  // prefills. kOffloading and kNixlV2 tell the latter; other dialects have no word for it.
  void pull_from(PrefillCandidate source) { kv_source_ = std::move(source); }
  void start();

  void on_engine(size_t leg, const PrefillEngine& engine);
  // Of the answer to send_decode_first(): the decoder wants the prompt prefilled. Its call is over.
  void on_below_threshold();

  // Of a prefill leg, in this order.
  void on_prefill_head(size_t leg, int status);
  void on_prefill_body(size_t leg, std::string_view bytes);
  void on_prefill_end(size_t leg);
  void on_prefill_failed(size_t leg, LegFailure failure, std::string_view why);

  // It may never answer: another one is asked as well, if there is one, as when it is hedged.
  void on_prefill_doubtful(size_t leg);

  // The decoder's answer has begun: its head or a byte of it went to the client.
  void on_decode_begun();
  // Before that, and the carrier has no other decoder for the same body: see others_can_decode().
  // What comes after is the carrier's to cut.
  void on_decode_failed(LegFailure failure, std::string_view why);

  void on_client_left();

  // Whether another decoder may be sent the leg that one has had on a connection. Not with what a
  // prefiller handed over: the first one may have fetched it, and by now its blocks may hold
  // another prompt, which vLLM's decoders read all the same.
  bool others_can_decode() const;

  const HandoffReport& report() const { return report_; }
  // What the prefiller of the report answered; empty: there is none, or the dialect reads none.
  std::string_view prefill_answer() const {
    return answered_ ? std::string_view(legs_[*answered_].body) : "";
  }

 private:
  struct Leg {
    size_t candidate = 0;
    bool running = false;
    int status = 0;
    std::string body;
    TimerId deadline = kNoTimer;
  };

  struct LastFailure {
    std::optional<size_t> answered;  // the leg whose answer the client gets; else:
    LegRefusal refusal;
    size_t candidate = 0;
    bool may_pass = false;  // soon, and the same worker can be asked again
  };

  bool is_concurrent() const;
  bool find_candidate();
  size_t prefills_running() const;
  void hedge();
  void send_prefill();
  void send_prefill_to(size_t candidate);
  void send_both(size_t leg, const PrefillEngine& engine);
  std::string prefill_params() const;
  void send_next_or_fail();
  void end_decode();
  void end(Leg& leg);
  void end_prefills();
  void failed(LastFailure failure);
  void hand_over(const Leg& leg);
  void decode(HandoffReport::Path path, const LegFields& fields);
  void decode_alone(HandoffReport::Path path);
  void refuse(const LegRefusal& refusal);
  void finish();

  enum class State : uint8_t {
    kLooking,  // the decoder is asked first
    kPrefilling,
    kDecoding,   // the decoder has not begun to answer
    kAnswering,  // it has: nothing is left to decide
    kFinished,
  };

  const HandoffOptions& options_;
  const LegBodies& bodies_;
  std::vector<PrefillCandidate> candidates_;
  const uint64_t prompt_tokens_;
  const uint64_t unique_;
  Executor& executor_;
  Carrier& carrier_;

  State state_ = State::kPrefilling;
  std::vector<Leg> legs_;
  size_t next_candidate_ = 0;
  uint32_t retries_ = 0;  // of the latest candidate
  TimerId hedge_ = kNoTimer, retry_ = kNoTimer;
  TimePoint begun_{};
  LastFailure last_failure_;
  bool decode_sent_ = false;
  std::optional<size_t> answered_;  // the prefill leg
  // What decode got of a prefiller: views of its answer, in legs_. Nobody has fetched it as long as
  // is_unfetched_.
  LegFields handoff_;
  std::array<JsonEdit, 4> handed_members_;
  bool is_unfetched_ = false;
  std::optional<PrefillCandidate> kv_source_;
  HandoffReport report_;
};

}  // namespace kvasir
