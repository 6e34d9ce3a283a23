// How far the inside of a JSON string goes on without anything that a reader must look at: the loop
// that goes over every byte of every prompt. Private to wire/.
#pragma once

#include <cstddef>
#include <string_view>

namespace kvasir {

// How many bytes from the begin of `text` on are certainly neither a quote, a backslash nor a
// control character. It stops up to kJsonPlainBlock bytes early, and does not look at less than
// that. With AVX2 where the processor has it.
inline constexpr size_t kJsonPlainBlock = 64;
size_t plain_json_text(std::string_view text);

}  // namespace kvasir
