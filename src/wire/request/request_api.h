// The requests an inference server takes, told apart by where their prompt stands in the body.
#pragma once

#include <cstdint>

namespace kvasir {

enum class RequestApi : uint8_t {
  kUnknown,            // not told: wherever a prompt can be; /invocations, where the body decides
  kCompletions,        // `prompt`; images/generations as well
  kChatCompletions,    // `messages`, and `tools` before them
  kEmbeddings,         // `input`: a text, a list of them, or token ids; or `messages`
  kResponses,          // `instructions` and `tools`, then `input`: a text or a list of items
  kConversations,      // `items`
  kAnthropicMessages,  // `tools` and `system`, then `messages`
  kVllmGenerate,       // `token_ids` (or `prompt_token_ids`), `sampling_params`
  kSglangGenerate,     // `text` or `input_ids`, `sampling_params`; vLLM's own /generate: `prompt`
  kRerank,             // `query`, then `documents`; score: `text_1`, then `text_2`
  kVllmGrpcGenerate,   // wire/request/grpc_request.h says where
  kVllmGrpcEmbed,
  kVertexAiChat,
  kVertexAiResponses,
  kOpaque,  // not to be read
};

}  // namespace kvasir
