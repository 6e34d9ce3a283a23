// What a client or a proxy needs to know of an OpenAI answer, streamed or whole, completions or
// chat: its text, whether it ended and why, what it used, whether it is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct TokenUsage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
  std::optional<uint64_t> cached_tokens;  // of the prompt; absent when the server does not tell

  bool operator==(const TokenUsage&) const = default;
};

// The error object of an answer. Absent members are empty; a numeric code is written out.
struct AnswerError {
  std::string message;
  std::string type;
  std::string code;

  bool operator==(const AnswerError&) const = default;
};

// One event of a stream, or a whole answer.
struct AnswerPart {
  bool done = false;          // the event is [DONE]
  std::string text;           // of all choices in it, in order
  std::string finish_reason;  // of the last choice that has one
  std::optional<TokenUsage> usage;
  std::optional<AnswerError> error;
};

// Reads one event of a stream. Most bring a token and nothing else: those are scanned once and not
// validated. Events with usage, an error, a finish reason or escaped text are parsed like a whole
// answer.
Result<AnswerPart> read_stream_event(std::string_view data);

// Parses a whole JSON answer, or one event, in full.
Result<AnswerPart> parse_answer(std::string_view json);

}  // namespace kvasir
