// What /v1/completions and /v1/chat/completions have in common, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vllm/answer_constraint.h"
#include "vllm/sampling_fields.h"
#include "vllm/wide_int.h"

namespace kvasir {

struct GenerationRequest {
  std::optional<std::string> model;  // empty counts as absent
  SamplingFields sampling;
  // As asked for; nullopt: whatever the context leaves.
  std::optional<WideInt> max_tokens;
  std::string max_tokens_param = "max_tokens";    // the field it came from
  std::optional<WideInt> truncate_prompt_tokens;  // -1: to what fits
  bool truncate_right = false;                    // what is cut off is at the end
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool echo = false;
  bool return_token_ids = false;
  int64_t priority = 0;
  std::optional<std::string> request_id;
  std::string cache_salt;
  bool has_transfer_params = false;  // kv_transfer_params that say something
  AnswerConstraint constraint;
};

}  // namespace kvasir
