#include "bench/prompt_text.h"

#include <algorithm>

#include "base/assert.h"
#include "base/random.h"
#include "tokens/vocabulary.h"

namespace kvasir {

namespace {

// Ids of rows that name none: beyond those of any recorded trace.
constexpr uint64_t kOwnIds = uint64_t{1} << 63;
constexpr unsigned kIdBitsOfARow = 24;

}  // namespace

std::string prompt_text(const TraceRow& row, uint64_t seed, size_t row_number,
                        uint32_t block_tokens) {
  constexpr size_t kWordBytes = 4;
  const uint64_t own = kOwnIds + (uint64_t{row_number} << kIdBitsOfARow);
  std::string text;
  text.reserve(row.input_length * kWordBytes);
  uint32_t left = row.input_length;
  for (size_t i = 0; left > 0; ++i) {
    KVASIR_ASSERT(row.hash_ids.empty() || i < row.hash_ids.size(), "the ids cover the prompt");
    const uint64_t id = row.hash_ids.empty() ? own + i : row.hash_ids[i];
    const uint64_t block = mix64(mix64(seed) ^ id);
    const uint32_t words = std::min(left, block_tokens);
    for (uint32_t position = 0; position < words; ++position) {
      text += spaced_word(static_cast<uint32_t>(mix64(block + position) % kWords));
    }
    left -= words;
  }
  return text;
}

}  // namespace kvasir
