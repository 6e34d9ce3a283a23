// The values that answers are written from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kvasir {

enum class AnswerKind : uint8_t { kCompletion, kChat };

// What all chunks of an answer have in common.
struct AnswerHead {
  AnswerKind kind = AnswerKind::kCompletion;
  std::string id;
  int64_t created = 0;  // Unix time
  std::string model;
  std::string fingerprint;
};

struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
  uint64_t cached_tokens = 0;
};

// Why a choice ended.
struct Finish {
  std::string_view reason;  // "stop" or "length"
  // The token or the text that stopped it.
  std::variant<std::monostate, uint32_t, std::string> stop_reason;
};

// One token of an answer with its alternatives, the best first.
struct TokenLogprob {
  std::string token;
  std::optional<double> logprob;  // the first token of an echoed prompt has none
  std::vector<std::pair<std::string, double>> top;
  size_t text_offset = 0;
};

// One token of a prompt, seen as an answer to what stands before it.
struct PromptLogprob {
  uint32_t id = 0;
  double logprob = 0;
  uint32_t rank = 1;
  std::string token;
};
// For each token of the prompt its candidates; none for the first.
using PromptLogprobs = std::vector<std::vector<PromptLogprob>>;

// A call of a tool, as far as it was written.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
};

// One choice of an answer given as a whole.
struct ChoiceAnswer {
  uint32_t index = 0;
  std::string text;
  std::vector<ToolCall> tool_calls = {};
  bool null_content = false;  // a call came of itself: there is no text beside it
  Finish finish;
  std::optional<std::vector<TokenLogprob>> logprobs;
  std::optional<PromptLogprobs> prompt_logprobs;
  std::optional<std::vector<uint32_t>> token_ids;
  std::optional<std::vector<uint32_t>> prompt_token_ids;
};

}  // namespace kvasir
