#include "vllm/sampling_fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/random.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

std::string real_text(double value) {
  std::string text;
  append_real(value, text);
  return text;
}

ApiError refused(std::string_view field, std::string_view rule, const std::string& got) {
  return bad_request(std::nullopt,
                     std::string(field).append(" ").append(rule).append(", got ") + got + ".");
}

// The form of VLLMValidationError: the message ends in the parameter and its value.
ApiError refused_with_param(const std::string& param, std::string message,
                            const std::string& value) {
  message.append(" (parameter=").append(param).append(", value=").append(value).append(")");
  return bad_request(param, std::move(message));
}

// Python's int() of a key.
std::optional<WideInt> integer_key(std::string_view key) {
  const bool negative = !key.empty() && key.front() == '-';
  if (negative || (!key.empty() && key.front() == '+')) key.remove_prefix(1);
  if (key.empty() || key.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  WideInt value = 0;
  for (const char digit : key) value = std::min(kWidest, value * 10 + (digit - '0'));
  return negative ? -value : value;
}

bool within(double value, double low, double high) {
  return value >= low && value <= high;
}

std::optional<ApiError> check_penalties(const SamplingFields& sampling) {
  if (!within(sampling.presence_penalty, -2, 2)) {
    return refused("presence_penalty", "must be in [-2, 2]", real_text(sampling.presence_penalty));
  }
  if (!within(sampling.frequency_penalty, -2, 2)) {
    return refused("frequency_penalty", "must be in [-2, 2]",
                   real_text(sampling.frequency_penalty));
  }
  if (!std::isfinite(sampling.repetition_penalty) || sampling.repetition_penalty <= 0) {
    return refused("repetition_penalty", "must be a finite value greater than zero",
                   real_text(sampling.repetition_penalty));
  }
  return std::nullopt;
}

std::optional<ApiError> check_temperature(double temperature) {
  const std::string value = real_text(temperature);
  if (!std::isfinite(temperature)) {
    return refused_with_param("temperature",
                              "temperature must be a finite number, got " + value + ".", value);
  }
  if (temperature < 0) {
    return refused_with_param("temperature", "temperature must be non-negative, got " + value + ".",
                              value);
  }
  if (temperature > 2) {
    return refused_with_param("temperature", "temperature must be at most 2, got " + value + ".",
                              value);
  }
  return std::nullopt;
}

std::optional<ApiError> check_filters(const SamplingFields& sampling) {
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    const std::string value = real_text(sampling.top_p);
    return refused_with_param("top_p", "top_p must be in (0, 1], got " + value + ".", value);
  }
  if (sampling.top_k < -1) {
    return refused("top_k", "must be 0 or -1 (disable), or at least 1", to_text(sampling.top_k));
  }
  if (!within(sampling.min_p, 0, 1)) {
    return refused("min_p", "must be in [0, 1]", real_text(sampling.min_p));
  }
  return std::nullopt;
}

std::optional<ApiError> check_lengths(const SamplingFields& sampling, WideInt max_tokens) {
  if (max_tokens < 1) {
    const std::string value = to_text(max_tokens);
    return refused_with_param("max_tokens", "max_tokens must be at least 1, got " + value + ".",
                              value);
  }
  if (sampling.min_tokens < 0) {
    return refused("min_tokens", "must be greater than or equal to 0",
                   to_text(sampling.min_tokens));
  }
  if (sampling.min_tokens > max_tokens) {
    return refused("min_tokens", "must be less than or equal to max_tokens=" + to_text(max_tokens),
                   to_text(sampling.min_tokens));
  }
  return std::nullopt;
}

bool has_empty(const std::vector<std::string>& strings) {
  return std::find(strings.begin(), strings.end(), "") != strings.end();
}

bool out_of_vocabulary(WideInt id, uint32_t vocabulary_size) {
  return id < 0 || id >= static_cast<WideInt>(vocabulary_size);
}

ApiError token_refused(const std::string& param, WideInt id, uint32_t vocabulary_size) {
  return refused_with_param(param,
                            param + " holds a token id that is not in the vocabulary of " +
                                std::to_string(vocabulary_size) + ".",
                            to_text(id));
}

std::optional<ApiError> check_logprobs(const char* param, const std::optional<WideInt>& wanted,
                                       uint32_t vocabulary_size) {
  if (!wanted) return std::nullopt;
  const WideInt count = *wanted == -1 ? static_cast<WideInt>(vocabulary_size) : *wanted;
  if (count <= kLogprobsMax) return std::nullopt;
  return refused_with_param(param,
                            "Requested " + std::string(param) + " of " + to_text(count) +
                                ", which is greater than max allowed: " + to_text(kLogprobsMax),
                            to_text(*wanted));
}

std::optional<ApiError> check_token_ids(const char* param, const std::vector<WideInt>& ids,
                                        uint32_t vocabulary_size) {
  for (const WideInt id : ids) {
    if (out_of_vocabulary(id, vocabulary_size)) return token_refused(param, id, vocabulary_size);
  }
  return std::nullopt;
}

class Hasher {
 public:
  void add(uint64_t value) { state_ = mix64(state_ ^ value); }
  void add(double value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    add(bits);
  }
  void add(std::string_view text) {
    add(static_cast<uint64_t>(text.size()));
    for (const char byte : text) add(static_cast<uint64_t>(static_cast<unsigned char>(byte)));
  }
  uint64_t result() const { return state_; }

 private:
  uint64_t state_ = 0x6b766173697277ULL;
};

}  // namespace

std::optional<ApiError> check_sampling(const SamplingFields& sampling, WideInt max_tokens) {
  for (const auto& bias : sampling.logit_bias) {
    if (!integer_key(bias.first)) {
      return refused_with_param("logit_bias", "logit_bias holds a key that is no token id.",
                                bias.first);
    }
  }
  if (sampling.n < 1) return refused("n", "must be at least 1", to_text(sampling.n));
  if (sampling.n > kChoicesMax) {
    return refused("n", "must be at most " + to_text(kChoicesMax), to_text(sampling.n));
  }
  if (sampling.extra_args_too_large) {
    return bad_request("extra_args",
                       "extra_args holds an integer of more than 64 bits. (parameter=extra_args)");
  }
  if (auto error = check_penalties(sampling)) return error;
  if (auto error = check_temperature(sampling.temperature)) return error;
  if (auto error = check_filters(sampling)) return error;
  if (auto error = check_lengths(sampling, max_tokens)) return error;
  if (has_empty(sampling.stop))
    return bad_request(std::nullopt, "stop cannot contain an empty string.");
  if (has_empty(sampling.bad_words)) {
    return bad_request(std::nullopt, "bad_words cannot contain an empty string.");
  }
  if (sampling.n > 1 && sampling.temperature == 0) {
    return refused("n", "must be 1 when using greedy sampling", to_text(sampling.n));
  }
  return std::nullopt;
}

std::optional<ApiError> check_engine_input(const SamplingFields& sampling,
                                           uint32_t vocabulary_size) {
  if (auto error = check_logprobs("logprobs", sampling.logprobs, vocabulary_size)) return error;
  if (auto error = check_logprobs("prompt_logprobs", sampling.prompt_logprobs, vocabulary_size)) {
    return error;
  }
  for (const auto& bias : sampling.logit_bias) {
    const WideInt id = integer_key(bias.first).value_or(-1);
    if (out_of_vocabulary(id, vocabulary_size))
      return token_refused("logit_bias", id, vocabulary_size);
  }
  if (auto error = check_token_ids("stop_token_ids", sampling.stop_token_ids, vocabulary_size)) {
    return error;
  }
  if (sampling.allowed_token_ids) {
    if (sampling.allowed_token_ids->empty()) {
      return bad_request("allowed_token_ids",
                         "allowed_token_ids is not None and empty! (parameter=allowed_token_ids)");
    }
    if (auto error =
            check_token_ids("allowed_token_ids", *sampling.allowed_token_ids, vocabulary_size)) {
      return error;
    }
  }
  if (sampling.structured_outputs_problem) {
    return bad_request(std::nullopt, *sampling.structured_outputs_problem);
  }
  if (sampling.thinking_token_budget) {
    return bad_request(std::nullopt,
                       "thinking_token_budget is set but this server has no reasoning parser.");
  }
  return std::nullopt;
}

uint64_t hash_sampling(const SamplingFields& sampling) {
  Hasher hash;
  for (const double value :
       {sampling.temperature, sampling.top_p, sampling.min_p, sampling.presence_penalty,
        sampling.frequency_penalty, sampling.repetition_penalty, sampling.length_penalty}) {
    hash.add(value);
  }
  hash.add(static_cast<uint64_t>(sampling.top_k));
  hash.add(static_cast<uint64_t>(sampling.seed.has_value()));
  hash.add(static_cast<uint64_t>(sampling.seed.value_or(0)));
  hash.add(static_cast<uint64_t>(sampling.use_beam_search));
  for (const auto& bias : sampling.logit_bias) {
    hash.add(std::string_view(bias.first));
    hash.add(bias.second);
  }
  for (const std::string& word : sampling.bad_words) hash.add(std::string_view(word));
  if (sampling.allowed_token_ids) {
    for (const WideInt id : *sampling.allowed_token_ids) hash.add(static_cast<uint64_t>(id));
  }
  return hash.result();
}

}  // namespace kvasir
