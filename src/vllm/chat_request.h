// A request to /v1/chat/completions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/chat_prompt.h"
#include "vllm/generation_request.h"

namespace kvasir {

// A function that the model may call.
struct ChatTool {
  std::string name;
  std::shared_ptr<const JsonValue> parameters;  // the schema of its arguments
};

enum class ToolChoice : uint8_t {
  kNone,      // no call
  kAuto,      // as the model likes
  kRequired,  // a call of any
  kNamed,     // a call of this one
};

struct ChatRequest {
  GenerationRequest generation;
  std::vector<ChatMessage> messages;
  ChatPromptEnd prompt_end = ChatPromptEnd::kAnswer;
  std::vector<ChatTool> tools;
  ToolChoice tool_choice = ToolChoice::kNone;
  std::string named_tool;
  std::optional<bool> parallel_tool_calls;
  std::string tools_text;  // as the prompt shows them; empty: there are none
  bool has_chat_template = false;
  // Why the content of a message cannot be used; row 12.
  std::optional<ApiError> content_problem;
};

// Rows 3 to 7 of the checks.
std::variant<ChatRequest, ApiError> parse_chat_request(std::optional<std::string_view> content_type,
                                                       std::string_view body);

}  // namespace kvasir
