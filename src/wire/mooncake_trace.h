// A recorded workload in Mooncake's format, as its publishers, AIPerf, GuideLLM and Dynamo write
// it: JSON lines of arrival time, lengths and prefix hashes.
//
//   {"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
//   {"timestamp": 27.5, "input_length": 655, "output_length": 52, "session_id": "a"}
//   {"session_id": "a", "delay": 250, "text_input": "And then?", "output_length": 52}
//   {"timestamp": 0, "messages": [{"role": "user", "content": "Hi"}], "output_length": 20}
//
// `timestamp` is in milliseconds and may have a fraction. `hash_ids` names the blocks of the
// prompt, 512 tokens each, the last one partial: an id stands for its block and for all blocks
// before it, so rows that begin with the same ids begin with the same tokens; without them a prompt
// shares nothing with others. `text_input` is the prompt itself, instead of both; `messages`, with
// `tools` or without, is a whole chat instead of a prompt. Rows of one `session_id` are the turns
// of a conversation, in order: a later turn waits for the answer to the one before it, then `delay`
// milliseconds, and never starts before its own timestamp when it has one. Either every first turn
// has a timestamp, or no row has: then the first turns are due at 0. Also read: created_time,
// input_tokens, output_tokens and delay_ms, by which Dynamo calls timestamp, the two lengths and
// delay. null is a missing value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

inline constexpr uint32_t kMooncakeBlockTokens = 512;
// What a row without output_length asks for.
inline constexpr uint32_t kTraceOutputTokens = 128;

// The longest prompt and answer of a row.
inline constexpr uint32_t kTraceTokensMost = 1 << 24;
// The longest chat of a row: messages and tools, images within them included.
inline constexpr size_t kTraceChatBytesMost = size_t{64} << 20;

struct TraceRow {
  double timestamp_ms = 0;
  uint32_t input_length = 0;   // tokens of the prompt, at least 1; 0 when there is a text or a chat
  uint32_t output_length = 0;  // tokens of the answer, at least 1
  std::vector<uint64_t> hash_ids = {};
  std::string text = {};     // the prompt itself; empty: it is made from hash_ids
  std::string session = {};  // empty: none
  bool follows = false;      // not the first turn of its session
  double delay_ms = 0;       // of a turn that follows another: from the end of that one's answer
  // A chat instead of a prompt: both as JSON, byte for byte as the row has them; empty: none.
  std::string messages = {};
  std::string tools = {};  // only with messages

  bool operator==(const TraceRow&) const = default;
};

struct MooncakeTrace {
  std::vector<TraceRow> rows;
  // Keys that were not understood, each once, in the order of their first appearance; at most
  // kUnknownKeysMost.
  std::vector<std::string> unknown_keys;
  size_t rows_without_output_length = 0;
  bool has_times = false;  // false: no row has a timestamp
};
inline constexpr size_t kUnknownKeysMost = 20;

// Reads all rows of `text`; empty lines are skipped. An error begins with "NAME:LINE: ": a missing
// or repeated key, a wrong type, timestamps in some first turns only, a time that goes back (among
// the rows without a session, and within each session), or a number of hash_ids other than
// ceil(input_length / block_tokens).
Result<MooncakeTrace> parse_mooncake_trace(std::string_view text, const std::string& name,
                                           uint32_t block_tokens = kMooncakeBlockTokens);

// Appends the row as one line, as parse_mooncake_trace() reads it.
void append_mooncake_row(const TraceRow& row, std::string& text);

}  // namespace kvasir
