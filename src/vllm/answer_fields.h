// Appends the parts of an answer that whole answers and chunks share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vllm/answer_parts.h"

namespace kvasir {

void append_token_ids(const std::vector<uint32_t>* ids, std::string& json);
void append_finish_reason(const Finish& finish, std::string& json);
void append_stop_reason(const Finish& finish, std::string& json);
void append_logprobs(AnswerKind kind, const std::vector<TokenLogprob>* logprobs, std::string& json);
void append_prompt_logprobs(const PromptLogprobs* logprobs, std::string& json);
// prompt_tokens, total_tokens and completion_tokens, with an open brace before and none behind.
void append_usage_counts(const Usage& usage, std::string& json);

}  // namespace kvasir
