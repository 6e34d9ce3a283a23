// A request to /v1/chat/completions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/api_error.h"
#include "wire/chat_prompt.h"
#include "wire/generation_request.h"

namespace kvasir {

struct ChatRequest {
  GenerationRequest generation;
  std::vector<ChatMessage> messages;
  ChatPromptEnd prompt_end = ChatPromptEnd::kAnswer;
  // Why the tools asked for cannot be used; row 10 of the checks.
  std::optional<ApiError> tool_problem;
  bool has_chat_template = false;
  // Why the content of a message cannot be used; row 12.
  std::optional<ApiError> content_problem;
};

// Rows 3 to 7 of the checks.
std::variant<ChatRequest, ApiError> parse_chat_request(std::optional<std::string_view> content_type,
                                                       std::string_view body);

}  // namespace kvasir
