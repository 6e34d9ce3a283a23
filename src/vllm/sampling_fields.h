// The fields that say how tokens are sampled, read and checked as vLLM's SamplingParams does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/wide_int.h"

namespace kvasir {

struct SamplingFields {
  WideInt n = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  double repetition_penalty = 1;
  double length_penalty = 1;
  double temperature = 1;
  double top_p = 1;
  double min_p = 0;
  WideInt top_k = 0;
  WideInt min_tokens = 0;
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
  std::vector<WideInt> stop_token_ids;
  std::optional<std::vector<WideInt>> allowed_token_ids;
  std::vector<std::string> bad_words;
  std::vector<std::pair<std::string, double>> logit_bias;  // keys as sent
  std::optional<WideInt> logprobs;  // alternatives beside each token; nullopt: none wanted
  std::optional<WideInt> prompt_logprobs;
  std::optional<WideInt> thinking_token_budget;
  bool use_beam_search = false;
  bool ignore_eos = false;
  bool include_stop_str_in_output = false;
  // Why the structured outputs asked for are impossible, in words.
  std::optional<std::string> structured_outputs_problem;
  // An integer in vllm_xargs or kv_transfer_params that the engine cannot be sent.
  bool extra_args_too_large = false;
};

// The most choices of one prompt.
inline constexpr WideInt kChoicesMax = 16384;
// The most alternatives beside a token.
inline constexpr WideInt kLogprobsMax = 20;

// Row 15 of the checks (tests/vllm/README.md, section 5). `max_tokens`: after it was lowered to
// what the context leaves.
std::optional<ApiError> check_sampling(const SamplingFields& sampling, WideInt max_tokens);

// The part of row 16 that does not look at the prompt (section 6).
std::optional<ApiError> check_engine_input(const SamplingFields& sampling,
                                           uint32_t vocabulary_size);

// A hash of everything above that may change which tokens are sampled; not of what only ends an
// answer.
uint64_t hash_sampling(const SamplingFields& sampling);

}  // namespace kvasir
