// Writes the events of a streamed answer in the shapes of vLLM 0.32.0. What a chunk shares with the
// others of its answer is rendered once, since tens of thousands of chunks are written each second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vllm/answer_parts.h"

namespace kvasir {

inline constexpr std::string_view kStreamEnd = "data: [DONE]\n\n";

// What one chunk says about one tool call. Null pointers: said before, or not yet.
struct ToolCallDelta {
  uint32_t index = 0;
  const std::string* id = nullptr;
  const std::string* name = nullptr;
  std::string_view arguments;
};

// What one chunk says about one choice. Null pointers: nothing to say.
struct ChunkDelta {
  std::string_view text;
  // Of an answer that is tool calls: then there is no text. Null: it is text.
  const std::vector<ToolCallDelta>* tool_calls = nullptr;
  const Finish* finish = nullptr;
  const std::vector<TokenLogprob>* logprobs = nullptr;
  const std::vector<uint32_t>* token_ids = nullptr;
  const std::vector<uint32_t>* prompt_token_ids = nullptr;  // in the first chunk of a completion
  const Usage* usage = nullptr;                             // continuous usage: the counts so far
  bool last = false;  // nothing but [DONE] follows, so the fingerprint is in this one
};

// Const methods are thread-safe; all append.
class StreamChunks {
 public:
  explicit StreamChunks(const AnswerHead& head);

  // The chunk that opens a choice of a chat.
  void append_role(uint32_t choice, const Usage* usage,
                   const std::vector<uint32_t>* prompt_token_ids, std::string& events) const;
  void append_delta(uint32_t choice, const ChunkDelta& delta, std::string& events) const;
  // The last chunk, when usage was asked for.
  void append_usage(const Usage& usage, std::string& events) const;

 private:
  void append_completion_delta(const ChunkDelta& delta, std::string& events) const;
  void append_chat_delta(const ChunkDelta& delta, std::string& events) const;
  void append_counts(const Usage& usage, std::string& events) const;

  const AnswerKind kind_;
  std::string head_;         // up to the choices' opening bracket
  std::string fingerprint_;  // ,"system_fingerprint":"..."
};

}  // namespace kvasir
