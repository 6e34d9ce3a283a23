// Reads the messages of a chat by the rules of vLLM's union of eight message types.
#pragma once

#include <optional>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/chat_prompt.h"
#include "vllm/field_reader.h"

namespace kvasir {

struct ChatMessages {
  std::vector<ChatMessage> messages;
  // A part of a message's content that cannot be used: found later than the types of fields (row
  // 12).
  std::optional<ApiError> content_problem;
};

// The member "messages". What is wrong with its types is in the reader's errors.
ChatMessages read_chat_messages(const FieldReader& reader);

// The tool calls of earlier answers, which vLLM checks after everything else of row 7.
std::optional<ApiError> check_tool_calls(const JsonObject& body);

}  // namespace kvasir
