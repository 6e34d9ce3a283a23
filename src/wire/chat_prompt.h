// The prompt that a conversation becomes: for each message <|ROLE|>, its text and a line feed, then
// <|assistant|>. The chat template that tokens/tokenizer_json writes says the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

struct ChatMessage {
  std::string role;
  std::string text;  // the text parts of its content, joined
};

// What stands behind the last message.
enum class ChatPromptEnd : uint8_t {
  kAnswer,    // the opening of an answer
  kNothing,   // add_generation_prompt: false
  kContinue,  // continue_final_message: the last message itself stays open
};

std::string chat_prompt(const std::vector<ChatMessage>& messages, ChatPromptEnd end);

}  // namespace kvasir
