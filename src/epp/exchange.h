// One ext_proc stream: a request from Envoy, the endpoint it is sent to, and the answer as it
// passes.
//
//   request_headers -> (nothing yet) -> request_body... -> answers: where to, and the body again
//   response_headers, response_body..., response_trailers -> an answer for each, at once
//
// How Envoy sends bodies is read from protocol_config, and without one it is FULL_DUPLEX_STREAMED,
// upstream's only mode. In the others the decision goes out with the message that Envoy waits for:
// with the body's answer (BUFFERED), with the headers' (NONE, STREAMED).
//
// Owns itself: deleted when its stream is over. Private to epp/; lives on its thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "epp/probe.h"
#include "epp/request_head.h"
#include "net/grpc/grpc_server.h"
#include "net/io/byte_buffer.h"
#include "net/io/event_loop.h"
#include "serving/admission.h"
#include "serving/remote_scores.h"
#include "serving/routed_request.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"
#include "wire/request/model_restore.h"
#include "wire/request/model_splice.h"
#include "wire/request/request_api.h"
#include "wire/request/usage_watch.h"

namespace kvasir {

class DecisionTrace;
class EppThread;

class Exchange final : public GrpcCall::Observer {
 public:
  Exchange(EppThread& thread, GrpcCall& call);
  ~Exchange() override;

  void on_message(std::string_view message) override;
  void on_half_close() override;
  void on_gone() override;

 private:
  enum class Phase : uint8_t {
    kHeaders,  // the first message is awaited
    kBody,     // the rest of the request is
    kHeld,     // scores are fetched, or admission lets it wait
    kSentOn,   // decided: the answer passes
  };

  // The request (exchange_request.cc).
  void on_request_headers(const ExtProcRequest& request);
  void on_request_body(const ExtProcRequest& request);
  void on_request_trailers();
  bool keep_body(std::string_view bytes);
  void decide();
  void decide_without_body();
  bool read_body();
  Result<RequestPeek> peek_body(RequestApi api);
  bool take_model(const RequestPeek& peek);
  void ask_services(const RequestPeek& peek);
  void limit_to_subset();
  void admit();
  void leave_admission();
  void on_deadline();
  void on_verdict(const Verdict& verdict);
  void on_evicted(FlowOutcome outcome);
  void report_pick();
  void refuse(const FlowAnswer& answer);
  RequestLabels labels() const;

  // What goes back for it (exchange_answers.cc).
  void send_decision();
  void add_routing(ExtProcMutation& mutation, std::vector<ExtProcHeader>& metadata);
  std::vector<ExtProcScore> scores();
  void send_headers_answer(bool with_decision);
  void send_request_body();
  void send_body_answer(bool with_decision);
  bool defers_headers() const;

  // The answer (exchange_response.cc).
  void on_response_headers(const ExtProcRequest& request);
  void on_response_body(const ExtProcRequest& request);
  void on_response_trailers();
  bool streams_answer() const;
  bool is_whole_answer() const;
  bool restores_body() const;
  bool is_served_elsewhere(std::string_view served) const;
  void look_for_error(std::string_view first_bytes);
  void judge_endpoint();
  void note_first_byte(TimePoint now);
  TimePoint note_processed(TimePoint begin);
  void end(Ending ending);
  void end(Ending ending, TimePoint now);

  void fail(GrpcCode code, std::string_view message);
  void finish(GrpcCode code);

  EppThread& thread_;
  GrpcCall& call_;
  Phase phase_ = Phase::kHeaders;
  ExtProcProtocol protocol_;
  const TimePoint began_;
  TimePoint whole_;  // the request's last byte was read

  RequestHead head_;
  bool headers_seen_ = false;
  bool ends_with_trailers_ = false;
  bool body_ended_ = false;  // the request's last byte came
  ByteBuffer body_;
  uint64_t request_bytes_ = 0;
  uint32_t unanswered_chunks_ = 0;  // STREAMED: of the body, before the decision
  std::optional<std::vector<std::string>> subset_;
  std::string request_id_;
  std::string model_;                        // as the client wrote it
  std::string target_model_;                 // as the endpoint gets it
  std::string inflated_;                     // of a compressed body, while it is read
  std::optional<SplicedBody> rewrite_;       // the body with target_model_, when that is another
  std::unique_ptr<ModelRestorer> restorer_;  // of the answer, then
  std::string objective_;
  std::string destination_;  // HOST:PORT[,HOST:PORT...]
  std::string prefill_;
  std::vector<ScoredEndpoint> scores_;  // of the candidates, when they are told
  std::vector<std::string> score_names_;

  FetchedScores fetched_;
  std::unique_ptr<RemoteScoreFetcher::Fetch> fetch_;  // while it is under way
  std::optional<RoutedRequest> routed_;               // empty for requests without a body
  std::shared_ptr<AdmissionTicket> ticket_;
  // What admission posts from other threads finds this exchange here, or null when it is gone.
  Lifeline lifeline_;
  TimerId deadline_ = kNoTimer;           // of a held request
  std::unique_ptr<DecisionTrace> trace_;  // borrowed from the thread while it is decided
  Decision decision_;
  std::shared_ptr<const Endpoint> chosen_;  // its slot may change hands before the answer is over
  Duration scheduling_{};
  Duration held_{};
  bool booked_ = false;

  int status_ = 0;  // of the answer
  bool streaming_ = false;
  bool answer_complete_ = false;
  bool served_elsewhere_ = false;  // not by the endpoint that was picked
  bool body_tells_ = false;        // whether a 200 is good: it has not come yet
  bool failed_in_200_ = false;     // it is not
  std::optional<Duration> first_token_;
  uint64_t answer_bytes_ = 0;
  Duration processing_{};  // of its messages
  UsageWatch usage_;
  std::string restored_;  // scratch
};

}  // namespace kvasir
