// Log probabilities for a model that has none: plausible numbers that depend only on the answer's
// seed and the token's place, so that the same request gets the same ones anywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokens/vocabulary.h"
#include "vllm/answer_parts.h"

namespace kvasir {

// The text of one token.
std::string token_text(TokenId token);

// The token at `position` of an answer with its `alternatives` best rivals; the token itself is
// always among the top. `text_offset`: where its text begins in the answer.
TokenLogprob simulated_logprob(uint64_t seed, uint32_t position, TokenId token,
                               uint32_t alternatives, size_t text_offset);

// One entry for each token of the prompt, none in the first.
PromptLogprobs simulated_prompt_logprobs(uint64_t seed, const std::vector<TokenId>& prompt,
                                         uint32_t alternatives);

// The prompt's tokens in the form of an answer's, for a completion that echoes its prompt.
std::vector<TokenLogprob> echoed_logprobs(uint64_t seed, const std::vector<TokenId>& prompt,
                                          uint32_t alternatives);

}  // namespace kvasir
