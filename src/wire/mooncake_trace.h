// A recorded workload in Mooncake's format: JSON lines of arrival time, lengths and prefix hashes.
//
//   {"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
//
// `timestamp` is in milliseconds and never goes back. `hash_ids` names the blocks of the prompt,
// 512 tokens each, the last one partial: an id stands for its block and for all blocks before it,
// so rows that begin with the same ids begin with the same tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

inline constexpr uint32_t kMooncakeBlockTokens = 512;

struct TraceRow {
  uint64_t timestamp_ms = 0;
  uint32_t input_length = 0;   // tokens of the prompt, at least 1
  uint32_t output_length = 0;  // tokens of the answer, at least 1
  std::vector<uint64_t> hash_ids;

  bool operator==(const TraceRow&) const = default;
};

// Reads all rows of `text`; empty lines are skipped. Strict: a missing, unknown or repeated key, a
// wrong type, or a number of hash_ids other than ceil(input_length / block_tokens) is an error,
// which begins with "NAME:LINE: ".
Result<std::vector<TraceRow>> parse_mooncake_trace(std::string_view text, const std::string& name,
                                                   uint32_t block_tokens = kMooncakeBlockTokens);

// Appends the row as one line, as parse_mooncake_trace() reads it.
void append_mooncake_row(const TraceRow& row, std::string& text);

}  // namespace kvasir
