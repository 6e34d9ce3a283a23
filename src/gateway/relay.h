// One request on its way through the gateway: to a worker, to another when that one fails before the first
// body byte came, and the answer back, byte for byte. Owns itself: it is deleted when the request is over.
// Private to gateway/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/answer_tail.h"
#include "gateway/prefill_stage.h"
#include "gateway/probe.h"
#include "gateway/request_bounds.h"
#include "net/http/http_client.h"
#include "net/http/http_exchange.h"
#include "net/io/event_loop.h"
#include "serving/journey.h"
#include "wire/request/model_restore.h"

namespace kvasir {

class PoolRelays;
class Visit;

class Relay final : private HttpCallObserver,
                    private HttpExchange::Observer,
                    private Journey::Owner,
                    private PrefillStage::Owner {
 public:
  Relay(PoolRelays& relays, HttpExchange& exchange, bool inference, const RequestBounds& bounds);
  ~Relay() override;

  void start(const std::optional<RequestPeek>& peek);
  // It is unhealthy: when nothing of its answer came yet and a healthy one is left, the request goes there.
  void on_endpoint_down(EndpointId endpoint);
  // The gateway stops, and the client's connection goes with it.
  void tell_stopped();

 private:
  // How the body goes back to the client.
  enum class Mode : uint8_t { kHeld, kRaw, kReframed };

  // A server error, a 429, or a 200 that is an error, while another endpoint is tried.
  struct KeptAnswer {
    HttpHead head;
    std::string raw;  // its body as it was framed
    std::string selected;
    Decision decision;
    std::shared_ptr<const Endpoint> endpoint;
  };

  // Of a request that a model's rule sends on with another model, and of its answer.
  struct Rewritten {
    std::string body;
    ModelRestorer restorer;
    std::string restored = {};  // scratch
  };

  void read_headers();
  void strip(RequestApi api);
  std::optional<RequestPeek> rewrite_model(const std::optional<RequestPeek>& peek);
  // As the client sent it, but for its model.
  std::string_view request_body() const {
    if (rewritten_) return rewritten_->body;
    return stripped_ ? *stripped_ : exchange_.body();
  }
  // As the endpoint that answers gets it.
  std::string_view body() const { return legs_ ? legs_->decode_body() : request_body(); }
  void write_back(std::string_view bytes);
  void on_decided() override;
  void on_refused(const JourneyRefusal& refusal) override;
  void on_evicted(const JourneyRefusal& refusal) override;
  bool begin_legs();
  bool tells_sidecar() const;
  void send_decode() override { send(); }
  void end_decode() override;
  void refuse_legs(const LegRefusal& refusal) override;
  void pass_on_prefill(int status, std::string_view fields, std::string_view body) override;
  void send();
  void on_head(const HttpHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_raw(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  void on_client_gone() override;
  void on_time_over() override;
  void on_drained() override;

  void send_withheld();
  void on_closed(const HttpFailure& failure);
  bool is_worth_another_try(int status);
  bool is_worse_than_kept(int status) const;
  bool may_try_error_elsewhere();
  // Whether what one endpoint has had on a connection may go to another.
  bool can_move() const { return legs_ == nullptr || legs_->others_can_decode(); }
  void look_for_error(std::string_view first_bytes);
  void keep_error();
  void give_error_up();
  void send_kept();
  // What the endpoint that was asked last did, in the client's words.
  void note_failure(std::string_view what);
  void retry(RetryReason reason, std::string_view detail);
  // No endpoint has an answer; an error that was kept is better than ours.
  void give_up(int status, std::string_view message, std::string_view why);
  // `type`: what programs tell errors apart by; empty: as the status has it.
  void fail(int status, std::string_view message, std::string_view more_fields = {},
            std::string_view type = {});
  void drop(const JourneyRefusal& refusal);
  // A connection was not taken: those of further attempts get little time.
  void bound_connecting();
  // Its whole time is over.
  void on_timeout();
  void tell_bad_answer(int status, std::string_view why);
  void tell_error_passed_on();
  // The whole answer passed.
  void complete();
  // What part of the answer is out cannot be taken back: the connection is cut. Deletes itself.
  void cut(int status);
  // Before the last of the exchange.
  void end(Ending ending, int status);
  void leave();

  PoolRelays& relays_;
  HttpExchange& exchange_;
  Visit* const visit_;       // of exchange_; null: nobody is told of it
  RawRelay* raw_ = nullptr;  // of exchange_, in mode kRaw
  HttpCall* call_ = nullptr;
  std::vector<std::string> names_;  // of headers_, lower-case
  std::vector<RequestHeader> headers_;
  Journey journey_;
  std::string upstream_head_;
  std::string selected_;  // the endpoint's name, for x-selected-pod
  HttpHead answer_;        // withheld until the first body byte,
  std::string withheld_;   // with the framing before it
  std::unique_ptr<KeptAnswer> kept_;   // most often null
  std::unique_ptr<Rewritten> rewritten_;  // the same
  std::unique_ptr<std::string> stripped_;  // the client's body without what only routers may say
  std::unique_ptr<PrefillStage> legs_;     // null: one endpoint prefills and decodes
  TimerId error_timer_ = kNoTimer;     // runs while keeping_error_
  std::string failures_;               // of the attempts so far: "vllm-0: connection refused; ..."
  TimerId timeout_timer_ = kNoTimer;   // with a bound of its time
  TimerId connecting_timer_ = kNoTimer;  // see bound_connecting()
  uint32_t closed_ = 0;                // endpoints that closed their connection on it
  uint32_t error_retries_ = 0;
  AnswerTail tail_;
  Mode mode_ = Mode::kHeld;
  std::optional<RequestApi> api_;  // when it is one that can have two legs
  const RequestBounds bounds_;
  const bool inference_;
  const bool head_request_;
  bool paused_ = false;
  bool unread_ = false;         // the client has not taken all that was written
  bool keeping_error_ = false;  // this answer is read to its end and not sent; then another endpoint is tried
};

}  // namespace kvasir
