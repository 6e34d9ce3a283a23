// Writes whole answers in the shapes of vLLM 0.32.0 (tests/vllm/shapes.json): the same fields in
// the same order. usage.prompt_tokens_details.cached_tokens is always there, also when it is 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vllm/answer_parts.h"

namespace kvasir {

std::string completion_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices,
                              const Usage& usage, std::string_view transfer_params = {});
// What belongs to the prompt is taken from the first choice.
std::string chat_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices,
                        const Usage& usage, std::string_view transfer_params = {});

// An adapter as /v1/models shows it.
struct ListedAdapter {
  std::string name;
  std::string root;    // where it lies
  std::string parent;  // the model it belongs to
};

// The answer of /v1/models: the model under each of its names, then its adapters.
std::string models_answer(const std::vector<std::string>& names, const std::string& root,
                          const std::vector<ListedAdapter>& adapters, uint32_t max_model_len,
                          int64_t created);

// The answers of /tokenize and /detokenize. `token_strs` may be null.
std::string tokenize_answer(const std::vector<uint32_t>& tokens, uint32_t max_model_len,
                            const std::vector<std::string>* token_strs);
std::string detokenize_answer(std::string_view prompt);

}  // namespace kvasir
