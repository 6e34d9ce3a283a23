// One inference request on its way through the scheduler, whoever carries its bytes: where it goes, where it
// goes next when that fails, and what is booked for it meanwhile. The booking is released at the latest when
// this object dies. Lives on one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hashing/prompt_blocks.h"
#include "model/decision.h"
#include "model/request.h"
#include "scheduling/refusal.h"
#include "serving/request_class.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class DecisionTrace;
class Scheduler;
class TokenEstimator;

class RoutedRequest {
 public:
  // `peek`: what is known of the request; empty when its body was not understood. Only read here, with the body that
  // it points into: a retry may come when both are long gone. `headers`: with lower-case names; they must outlive the last choose(), as the scheduler and
  // the estimator must outlive this object.
  RoutedRequest(Scheduler& scheduler, TokenEstimator& estimator, RequestId id,
                const std::optional<RequestPeek>& peek, std::span<const RequestHeader> headers = {});
  ~RoutedRequest();
  RoutedRequest(const RoutedRequest&) = delete;
  RoutedRequest& operator=(const RoutedRequest&) = delete;

  // Before the first choose().
  void set_class(RequestClass request_class);
  // Only these endpoints may be chosen, ascending.
  void set_allowed(std::vector<EndpointId> allowed) { allowed_ = std::move(allowed); }
  // What other processes said of the endpoints; it must outlive the last choose().
  void set_remote_scores(std::span<const RemoteScores> scores) { request_.remote_scores = scores; }
  // Where choose() writes how it came about; it must outlive the last one.
  void set_trace(DecisionTrace* trace) { trace_ = trace; }
  const Request& request() const { return request_; }

  // The next endpoint to try, booked; nullopt when none is left, and refusal() tells why. Releases the one before.
  std::optional<Decision> choose();
  Refusal refusal() const { return refusal_; }
  // The chosen endpoint failed: choose() will not name it again.
  void exclude_chosen();
  // Whether a healthy endpoint is left besides the chosen one.
  bool has_other();

  // The first body byte arrived: the first token of a stream, the whole answer otherwise.
  void first_token();
  // The answer is complete or given up.
  void ended();
  void learn_prompt_tokens(uint32_t tokens);
  // There will be no further choose(): what only it needs is given back.
  void release_prompt();
  uint32_t prompt_tokens() const { return request_.prompt_tokens; }

 private:
  Scheduler& scheduler_;
  TokenEstimator& estimator_;
  Request request_;
  std::string model_;
  RequestClass class_;
  Refusal refusal_ = Refusal::kNone;
  HashedPrompt prompt_;
  std::vector<EndpointId> tried_;
  std::optional<std::vector<EndpointId>> allowed_;  // nullopt: everybody
  DecisionTrace* trace_ = nullptr;
  bool length_is_estimated_ = false;
  EndpointId chosen_{};
  bool booked_ = false;
  bool first_token_seen_ = false;
};

}  // namespace kvasir
