#include "vllm/chat_prompt.h"

#include "wire/json/json_text.h"

namespace kvasir {

std::string chat_prompt(const std::vector<ChatMessage>& messages, ChatPromptEnd end,
                        std::string_view tools) {
  std::string prompt;
  if (!tools.empty()) prompt.append("<|tools|>").append(tools).append("\n");
  for (const ChatMessage& message : messages) {
    prompt.append("<|").append(message.role).append("|>").append(message.text).append("\n");
  }
  if (end == ChatPromptEnd::kAnswer) prompt.append("<|assistant|>");
  if (end == ChatPromptEnd::kContinue && !prompt.empty()) prompt.pop_back();
  return prompt;
}

std::string tool_call_text(std::string_view name, std::string_view arguments) {
  std::string text = "<tool_call>{\"name\": ";
  append_json_string(name, text);
  return text.append(", \"arguments\": ").append(arguments).append("}</tool_call>");
}

}  // namespace kvasir
