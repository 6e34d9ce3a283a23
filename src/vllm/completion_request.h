// A request to /v1/completions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/generation_request.h"

namespace kvasir {

// One prompt as it was sent: text, or token ids (ids beyond 32 bits are cut to the largest).
using Prompt = std::variant<std::string, std::vector<uint32_t>>;

struct CompletionRequest {
  GenerationRequest generation;
  std::vector<Prompt> prompts;
  // The largest token id among those that were cut, as it was sent; 0: none was.
  WideInt cut_token_id = 0;
  bool has_suffix = false;
  bool has_prompt_embeds = false;
};

// max_tokens of a completion that names none.
inline constexpr int kDefaultCompletionTokens = 16;

// Rows 3 to 8 of the checks.
std::variant<CompletionRequest, ApiError> parse_completion_request(
    std::optional<std::string_view> content_type, std::string_view body);

}  // namespace kvasir
