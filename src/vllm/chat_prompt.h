// The prompt that a conversation becomes: the tools behind <|tools|>, when there are any; for each message <|ROLE|>, its text and a line feed, then
// <|assistant|>. The chat template that tokens/tokenizer_json writes says the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

struct ChatMessage {
  std::string role;
  std::string text;  // the text parts of its content, joined; behind them its tool calls
};

// What stands behind the last message.
enum class ChatPromptEnd : uint8_t {
  kAnswer,    // the opening of an answer
  kNothing,   // add_generation_prompt: false
  kContinue,  // continue_final_message: the last message itself stays open
};

// `tools`: as JSON; empty: none.
std::string chat_prompt(const std::vector<ChatMessage>& messages, ChatPromptEnd end,
                        std::string_view tools = {});

// A call of a tool as a model writes it. `arguments`: JSON.
std::string tool_call_text(std::string_view name, std::string_view arguments);

}  // namespace kvasir
