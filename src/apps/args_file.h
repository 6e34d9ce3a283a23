// Arguments in a file, as a ConfigMap holds them: what stands on a command line, over several lines
// and with comments.
//
// Blanks and line ends separate the words. A # at a word's beginning starts a comment, up to the
// line's end. Quotes ('...' or "...") at the beginning of a word, or of its value behind the first
// =, hold blanks and #; anywhere else they are bytes like others, so JSON without blanks needs no
// quotes. There is no backslash and no variable.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

inline constexpr size_t kArgsFileBytesMost = 1024 * 1024;

// The words of such a text; the error is "LINE: TEXT".
Result<std::vector<std::string>> split_arguments(std::string_view text);

// `arguments` with each --args-file FILE replaced by the words of that file, which names no other
// one.
Result<std::vector<std::string>> with_args_files(const std::vector<std::string>& arguments);

}  // namespace kvasir
