// Whether a prompt is short enough for a store that takes the first chunk of a prefill alone
// (vLLM's ExampleConnector): by its bytes where they decide, else an engine has to count its
// tokens. On the safe side: what cannot be told is too long.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/request/request_api.h"

namespace kvasir {

enum class PromptFit : uint8_t { kFits, kTooLong, kToBeCounted };

struct PromptLimit {
  PromptFit fit = PromptFit::kTooLong;
  std::string question = {};  // kToBeCounted: the body of a POST to /tokenize
  uint64_t tokens = 0;        // kFits: the prompt has no more
};

// `body`: with room to read behind it, as HttpExchange::body() has it.
PromptLimit check_prompt(RequestApi api, std::string_view body, uint32_t tokens_max);

// How many tokens an answer of /tokenize counted; nullopt: it is none.
std::optional<uint64_t> counted_tokens(std::string_view answer);

}  // namespace kvasir
