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
#include <utility>
#include <vector>

#include "base/clock.h"
#include "epp/request_head.h"
#include "net/grpc/grpc_server.h"
#include "net/io/byte_buffer.h"
#include "serving/journey.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"
#include "wire/request/model_restore.h"
#include "wire/request/model_splice.h"
#include "wire/request/request_api.h"

namespace kvasir {

class EppThread;

class Exchange final : public GrpcCall::Observer, Journey::Owner {
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
  bool read_body(std::optional<RequestPeek>& peek);
  Result<RequestPeek> peek_body(RequestApi api);
  bool take_model(const RequestPeek& peek);
  void on_decided() override { send_decision(); }
  void on_refused(const JourneyRefusal& refusal) override { send_refusal(refusal); }
  void on_evicted(const JourneyRefusal& refusal) override { send_refusal(refusal); }
  void refuse(const JourneyRefusal& refusal);
  bool refuse_request(int status, std::string_view text);

  // What goes back for it (exchange_answers.cc).
  void send_decision();
  void add_routing(ExtProcMutation& mutation, std::vector<ExtProcHeader>& metadata);
  std::vector<ExtProcScore> scores();
  void send_headers_answer(bool with_decision);
  void send_request_body();
  void send_body_answer(bool with_decision);
  void send_refusal(const JourneyRefusal& refusal);
  bool defers_headers() const;

  // The answer (exchange_response.cc).
  void on_response_headers(const ExtProcRequest& request);
  void on_response_body(const ExtProcRequest& request);
  void on_response_trailers();
  std::vector<std::pair<std::string, std::string>> answer_fields(std::string_view served);
  bool streams_answer() const;
  bool is_whole_answer() const;
  bool restores_body() const;
  bool is_served_elsewhere(std::string_view served) const;
  void judge_endpoint(std::string_view first_bytes);
  void note_processed(TimePoint begin);
  void end(Ending ending);

  // Sends the thread's message, and `rest` behind it.
  void send(std::string_view rest = {});
  void fail(GrpcCode code, std::string_view message);
  void finish(GrpcCode code);

  EppThread& thread_;
  GrpcCall& call_;
  Phase phase_ = Phase::kHeaders;
  ExtProcProtocol protocol_;
  bool observed_ = false;  // Envoy does not want to hear of its messages

  RequestHead head_;
  bool headers_seen_ = false;
  bool ends_with_trailers_ = false;
  bool body_ended_ = false;  // the request's last byte came
  ByteBuffer body_;
  uint64_t request_bytes_ = 0;
  uint32_t unanswered_chunks_ = 0;  // STREAMED: of the body, before the decision
  std::optional<std::vector<std::string>> subset_;
  std::string inflated_;                     // of a compressed body, while it is read
  std::optional<SplicedBody> rewrite_;       // the body with another model
  std::unique_ptr<ModelRestorer> restorer_;  // of the answer, then
  std::string destination_;                  // HOST:PORT[,HOST:PORT...]
  std::string prefill_;
  std::vector<std::string> score_names_;  // what scores() shows

  bool answer_complete_ = false;
  bool body_tells_ = false;  // whether a 200 is good: it has not come yet
  std::string restored_;     // scratch
  // Last: while it is held, it is decided on from what stands above.
  Journey journey_;
};

}  // namespace kvasir
