// The requests an inference server takes, told apart by where their prompt stands in the body.
#pragma once

#include <cstdint>

namespace kvasir {

enum class RequestApi : uint8_t {
  kUnknown,            // not told: `prompt` or `messages`
  kCompletions,        // `prompt`; images/generations as well
  kChatCompletions,    // `messages`
  kEmbeddings,         // `input`: a text, a list of them, or token ids
  kResponses,          // `instructions`, then `input`: a text or a list of items
  kConversations,      // `items`
  kAnthropicMessages,  // `system`, then `messages`
  kVllmGenerate,       // `token_ids` (or `prompt_token_ids`), `sampling_params`
  kSglangGenerate,     // `text` or `input_ids`, `sampling_params`
  kOpaque,             // not to be read
};

}  // namespace kvasir
