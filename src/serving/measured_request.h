// The Request that the scheduler sees, made of what a server read, with all that its views point
// into. Read once, with the body that the peek points into: a retry may come when both are gone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hashing/prompt_blocks.h"
#include "model/request.h"
#include "serving/request_class.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class Scheduler;
class TokenEstimator;

class MeasuredRequest {
 public:
  MeasuredRequest() = default;
  MeasuredRequest(const MeasuredRequest&) = delete;
  MeasuredRequest& operator=(const MeasuredRequest&) = delete;

  // `peek`: what is known of the request; empty when its body was not understood. Its prompt is
  // hashed in the views that `scheduler` wants. `headers`: with lower-case names; they must stay
  // until release_prompt().
  void read(const Scheduler& scheduler, const TokenEstimator& estimator, RequestId id,
            const std::optional<RequestPeek>& peek, std::span<const RequestHeader> headers);
  void set_class(RequestClass request_class);
  void set_remote_scores(std::span<const RemoteScores> scores) { request_.remote_scores = scores; }

  // Its address stays.
  const Request& request() const { return request_; }
  std::string_view objective() const { return class_.objective; }
  // Whether prompt_tokens is a guess that the usage of the answer can correct.
  bool length_is_estimated() const { return length_is_estimated_; }
  // What only the scheduler needs is given back.
  void release_prompt();

 private:
  Request request_;
  std::string model_;
  RequestClass class_;
  HashedPrompt prompt_;
  bool length_is_estimated_ = false;
};

}  // namespace kvasir
