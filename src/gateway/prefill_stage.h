// The first of the two legs of a request whose prompt another endpoint prefills: asks that one, and
// others when it fails, then says what the endpoint that decodes is sent. Its relay owns it and
// sends that. Private to gateway/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifeline.h"
#include "gateway/probe.h"
#include "handoff/two_legs.h"
#include "net/http/http_call.h"
#include "net/http/http_head.h"
#include "serving/endpoint_conduct.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

class PoolRelays;
class Journey;

class PrefillStage final : private TwoLegs::Carrier {
 public:
  class Owner {
   public:
    // decode_body() goes to the journey's endpoint now. This and those below may destroy the stage,
    // but for end_decode().
    virtual void send_decode() = 0;
    // What goes there is given up; another send_decode() or an end follows.
    virtual void end_decode() = 0;
    virtual void refuse_legs(const LegRefusal& refusal) = 0;
    // The prefiller's own answer is the client's.
    virtual void pass_on_prefill(int status, std::string_view fields, std::string_view body) = 0;

   protected:
    ~Owner() = default;
  };

  // Precondition: journey.decision() names who prefills. All must outlive it; `bodies` is of a text
  // that stays until the answer begins. `attempts_max`: legs that prefill, beside what the options
  // say of them.
  PrefillStage(PoolRelays& relays, Journey& journey, const HttpHead& request, LegBodies bodies,
               uint32_t attempts_max, Owner& owner);
  ~PrefillStage();

  void start();
  std::string_view decode_body() const { return decode_body_; }

  bool others_can_decode() const { return legs_->others_can_decode(); }

  // The answer of the leg that decodes has begun.
  void on_decode_begun() { legs_->on_decode_begun(); }
  // The client left, or the request must go.
  void on_left() { legs_->on_client_left(); }
  // It is unhealthy.
  void on_endpoint_down(EndpointId endpoint);

  // Fields of the answer, each a line. `decoder`: the name of the endpoint that decodes.
  std::string answer_fields(std::string_view decoder) const;
  // It is over: tells the probe.
  void report() const;

 private:
  class Call;
  struct Failed {
    size_t leg = 0;
    RetryReason reason{};
    std::string detail;
  };

  void send_prefill(size_t leg, size_t candidate, std::string body) override;
  void end_prefill(size_t leg) override;
  void on_prefill_late(size_t leg) override;
  std::optional<PrefillCandidate> another_candidate() override;
  // The scheduler has decided already that the decoder has too little of the prompt.
  void send_decode_first(std::string) override { legs_->on_below_threshold(); }
  void send_decode(std::string body) override;
  void end_decode() override { owner_.end_decode(); }
  void send_release(std::string body) override;
  void refuse(const LegRefusal& refusal) override;
  void pass_on(size_t leg, int status, std::string_view body) override;

  void on_answered(size_t leg, int status);
  void on_failed(size_t leg, const HttpFailure& failure);
  void on_no_address(size_t leg);
  void note_failure(size_t leg, RetryReason reason, std::string detail);
  std::optional<PrefillCandidate> begin_leg();
  // In what is decided about an endpoint.
  EndpointConduct& conduct_of(size_t leg);

  PoolRelays& relays_;
  Journey& journey_;
  Owner& owner_;
  const HttpHead request_;  // outlives the exchange, for a release
  const LegBodies bodies_;
  const uint32_t attempts_max_;
  const TimePoint begun_;
  EndpointConduct conduct_;
  std::vector<std::unique_ptr<Call>> calls_;  // by leg
  std::unique_ptr<TwoLegs> legs_;
  std::string decode_body_;
  TimePoint decode_begun_{};
  std::optional<Failed> failed_;  // the last one, until another one is asked
  std::string_view refused_;      // with which code
  uint32_t closed_ = 0;           // endpoints that closed their connection on it
  bool released_ = false;
  Lifeline lifeline_;
};

}  // namespace kvasir
