#include "bench/prompt_text.h"

#include <algorithm>

#include "base/random.h"
#include "tokens/vocabulary.h"

namespace kvasir {

std::string prompt_text(const TraceRow& row, uint64_t seed, uint32_t block_tokens) {
  constexpr size_t kWordBytes = 4;
  std::string text;
  text.reserve(row.input_length * kWordBytes);
  uint32_t left = row.input_length;
  for (const uint64_t id : row.hash_ids) {
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
