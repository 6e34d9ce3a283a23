// The bytes of the request that a replay sends for a row: POST /v1/completions, or
// /v1/chat/completions for one with messages, streaming, with usage.
#pragma once

#include <cstdint>
#include <string>

#include "net/io/socket.h"
#include "wire/mooncake_trace.h"

namespace kvasir {

struct CompletionOptions {
  std::string model;
  uint64_t seed = 1;                             // of the prompts, and the request's "seed"
  bool token_ids = false;                        // made-up prompts are sent as their token ids
  bool ignore_eos = false;                       // asks a real engine (vLLM) to go on to max_tokens
  uint32_t block_tokens = kMooncakeBlockTokens;  // of each of the row's hash_ids
};

// `row_number`: in the trace. Messages and tools are the row's own bytes. Where there are tools,
// "tool_choice" is "none": the prompt shows them, and the answer is a text of the row's length,
// which a call would not be.
std::string completion_body(const TraceRow& row, size_t row_number,
                            const CompletionOptions& options);
std::string completion_head(const HostPort& origin, const TraceRow& row,
                            const std::string& request_id, size_t body_bytes);

}  // namespace kvasir
