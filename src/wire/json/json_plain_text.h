// How far JSON goes on without anything that a reader must look at: the loops that go over every
// byte of every prompt. Private to wire/.
#pragma once

#include <cstddef>
#include <string_view>

namespace kvasir {

// How many bytes from the begin of `text` on are certainly neither a quote, a backslash nor a
// control character. It stops up to kJsonPlainBlock bytes early, and does not look at less than
// that. With AVX2 where the processor has it.
inline constexpr size_t kJsonPlainBlock = 64;
size_t plain_json_text(std::string_view text);

// The same outside of strings: how many bytes are certainly digits, commas, white space and the
// like, and neither a quote, a backslash, a letter nor a bracket. Lists of token ids.
size_t plain_json_numbers(std::string_view text);

}  // namespace kvasir
