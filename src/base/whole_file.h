// Reads files whose owner is not trusted to keep them sound: only regular files (or links to them),
// never more than a limit, and never waiting. A FIFO without a writer, a device without an end or a
// directory in a file's place is an error, not a program that hangs.
//
// Every program reads every file that it is given through here.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace kvasir {

// The whole file; an error that names `path` when it is no regular file, cannot be read, or is
// longer than `bytes_max`.
Result<std::string> read_whole_file(const std::string& path, size_t bytes_max);

// For files that a library reads by their name: whether `path` is a regular file.
Result<void> check_regular_file(const std::string& path);

}  // namespace kvasir
