// One request on its way through the gateway: to a worker, to another when that one fails before the first
// body byte came, and the answer back, byte for byte. Owns itself: it is deleted when the request is over.
// Private to gateway/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "gateway/answer_tail.h"
#include "gateway/probe.h"
#include "net/http/http_client.h"
#include "net/http/http_exchange.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "serving/admission.h"
#include "serving/remote_scores.h"
#include "serving/routed_request.h"
#include "wire/request/usage_watch.h"

namespace kvasir {

class GatewayThread;

class Relay final : private HttpCallObserver, private HttpExchange::Observer {
 public:
  Relay(GatewayThread& thread, HttpExchange& exchange, bool inference);
  ~Relay() override;

  void start(const std::optional<RequestPeek>& peek);
  // It is unhealthy: when nothing of its answer came yet and a healthy one is left, the request goes there.
  void on_endpoint_down(EndpointId endpoint);

 private:
  // How the body goes back to the client.
  enum class Mode : uint8_t { kHeld, kRaw, kReframed };

  // A server error, a 429, or a 200 that is an error, while another endpoint is tried.
  struct KeptAnswer {
    HttpHead head;
    std::string raw;  // its body as it was framed
    std::string selected;
    Decision decision;
  };

  void read_headers();
  bool ask_services(const RequestPeek& peek);
  void schedule();
  RequestClass class_of_request() const;
  void admit();
  void on_verdict(const Verdict& verdict);
  void on_evicted(FlowOutcome outcome);
  bool choose();
  bool pick();
  void attempt();
  void send();
  void on_head(const HttpHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_raw(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  void on_client_gone() override;
  void on_drained() override;

  void send_withheld();
  void note_first_byte();
  void note_answered();
  void on_closed(const HttpFailure& failure);
  bool has_other();
  bool is_worth_another_try(int status);
  bool is_worse_than_kept(int status) const;
  bool may_try_error_elsewhere();
  void look_for_error(std::string_view first_bytes);
  void keep_error();
  void give_error_up();
  void send_kept();
  // The endpoint's own fault, or its success; for outlier ejection.
  void judge(EndpointId endpoint, bool good);
  // It failed, or the request did: the next endpoint's answer tells.
  void blame();
  void settle_blame(bool answered);
  // It took the request for one too many: no fault of its.
  void note_full();
  // What the endpoint that was asked last did, in the client's words.
  void note_failure(std::string_view what);
  void retry(RetryReason reason, std::string_view detail);
  // No endpoint has an answer; an error that was kept is better than ours.
  void give_up(int status, std::string_view message, std::string_view why);
  void fail(int status, std::string_view message, std::string_view more_fields = {});
  void drop(FlowOutcome outcome);
  void tell_bad_answer(int status, std::string_view why);
  void tell_error_passed_on();
  void release();
  void leave_admission();
  void finish(int status, bool complete);

  GatewayThread& thread_;
  HttpExchange& exchange_;
  RawRelay* raw_ = nullptr;  // of exchange_, in mode kRaw
  HttpCall* call_ = nullptr;
  std::vector<std::string> names_;  // of headers_, lower-case
  std::vector<RequestHeader> headers_;
  FetchedScores fetched_;                // what the services of the configuration said
  std::unique_ptr<RemoteScoreFetcher::Fetch> fetch_;  // while they are asked
  std::optional<RoutedRequest> routed_;  // inference only
  std::shared_ptr<AdmissionTicket> ticket_;  // of routed_; null when nobody can be held
  Lifeline lifeline_;
  std::vector<EndpointId> tried_;            // when it is no inference
  std::string request_id_;
  std::string upstream_head_;
  std::string selected_;  // the endpoint's name, for x-selected-pod
  HttpHead answer_;        // withheld until the first body byte,
  std::string withheld_;  // with the framing before it
  int status_ = 0;        // of the answer
  std::unique_ptr<KeptAnswer> kept_;   // most often null
  std::vector<EndpointId> blamed_;     // they failed this request, and nobody has answered it yet
  TimerId error_timer_ = kNoTimer;     // runs while keeping_error_
  std::string failures_;               // of the attempts so far: "vllm-0: connection refused; ..."
  uint32_t closed_ = 0;                // endpoints that closed their connection on it
  uint32_t error_retries_ = 0;
  UsageWatch usage_;
  AnswerTail tail_;
  Decision decision_;
  TimePoint arrived_;
  Duration scheduling_{};
  Duration held_{};
  std::optional<Duration> first_byte_;
  uint32_t attempts_ = 0;
  Mode mode_ = Mode::kHeld;
  const bool inference_;
  const bool head_request_;
  std::shared_ptr<const Endpoint> attempted_;  // the probe counts an attempt there; null: none now
  bool paused_ = false;
  bool unread_ = false;         // the client has not taken all that was written
  bool failed_in_200_ = false;  // the answer's status says that it is good, its body that it is not
  bool keeping_error_ = false;  // this answer is read to its end and not sent; then another endpoint is tried
};

}  // namespace kvasir
