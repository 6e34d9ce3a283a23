#include "wire/chat_prompt.h"

namespace kvasir {

std::string chat_prompt(const std::vector<ChatMessage>& messages, ChatPromptEnd end) {
  std::string prompt;
  for (const ChatMessage& message : messages) {
    prompt.append("<|").append(message.role).append("|>").append(message.text).append("\n");
  }
  if (end == ChatPromptEnd::kAnswer) prompt.append("<|assistant|>");
  if (end == ChatPromptEnd::kContinue && !prompt.empty()) prompt.pop_back();
  return prompt;
}

}  // namespace kvasir
