// Requests to /tokenize and /detokenize.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/chat_prompt.h"
#include "vllm/wide_int.h"

namespace kvasir {

struct TokenizeRequest {
  std::optional<std::string> model;
  // Either a text or a conversation.
  std::optional<std::string> prompt;
  std::vector<ChatMessage> messages;
  std::string tools_text;  // of the messages form; empty: none
  ChatPromptEnd prompt_end = ChatPromptEnd::kAnswer;
  bool return_token_strs = false;
  std::optional<ApiError> content_problem;
};

struct DetokenizeRequest {
  std::optional<std::string> model;
  std::vector<WideInt> tokens;  // 0 to 2^63 - 1
};

std::variant<TokenizeRequest, ApiError> parse_tokenize_request(
    std::optional<std::string_view> content_type, std::string_view body);
std::variant<DetokenizeRequest, ApiError> parse_detokenize_request(
    std::optional<std::string_view> content_type, std::string_view body);

}  // namespace kvasir
