// The text of a trace row's prompt, made up from its hash_ids: the same ids give the same bytes in
// every run and every arm, different ids different ones.
#pragma once

#include <cstdint>
#include <string>

#include "wire/mooncake_trace.h"

namespace kvasir {

// Exactly row.input_length tokens of the simulated vocabulary: words of four bytes with their
// leading space. Word `position` of block `id` depends on (seed, id, position) only. Needs no JSON
// escapes. A row without hash_ids has blocks that no other `row_number` has.
std::string prompt_text(const TraceRow& row, uint64_t seed, size_t row_number = 0,
                        uint32_t block_tokens = kMooncakeBlockTokens);

}  // namespace kvasir
