// The Request that the scheduler sees, made of what a server read, with all that its views point
// into. Read once, with the body that the peek points into: a retry may come when both are gone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hashing/prompt_blocks.h"
#include "model/request.h"
#include "serving/exact_prompt.h"
#include "serving/request_class.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class ExactCaches;
class Scheduler;
class TokenEstimator;
struct Snapshot;

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
  void set_part(RequestPart part) { request_.part = part; }
  void set_remote_scores(std::span<const RemoteScores> scores) { request_.remote_scores = scores; }

  // Its tokens are known now: the prompt's length is exact. `caches` and `block_sizes`: who knows
  // what engines hold, and in which blocks; null or empty: nobody.
  void set_tokens(std::shared_ptr<const std::vector<uint32_t>> tokens, const ExactCaches* caches,
                  std::span<const uint32_t> block_sizes);
  // Asks for what each endpoint holds of the prompt now. Does nothing when its tokens are not
  // known.
  void match(const ExactCaches& caches, const Snapshot& fleet);

  // Its address stays.
  const Request& request() const { return request_; }
  std::string_view objective() const { return class_.objective; }
  // Whether prompt_tokens was guessed, at first at least: the usage of the answer can teach to
  // guess better.
  bool length_is_estimated() const { return length_is_estimated_; }
  // What only the scheduler needs is given back.
  void release_prompt();

 private:
  Request request_;
  std::string model_;
  std::string cache_salt_;
  RequestClass class_;
  HashedPrompt prompt_;
  std::unique_ptr<ExactPrompt> exact_;  // null: nobody asks for it
  bool length_is_estimated_ = false;
};

}  // namespace kvasir
