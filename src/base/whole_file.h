// Files read and written as a whole.
//
// The owner of a file is not trusted to keep it sound: only regular files (or links to them) are
// read, never more than a limit, and never waiting. A FIFO without a writer, a device without an
// end or a directory in a file's place is an error, not a program that hangs.
//
// Every program reads every file that it is given through here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

// The whole file; an error that names `path` when it is no regular file, cannot be read, or is
// longer than `bytes_max`.
Result<std::string> read_whole_file(const std::string& path, size_t bytes_max);

// For files that a library reads by their name: whether `path` is a regular file.
Result<void> check_regular_file(const std::string& path);

// Writes `bytes` beside `path` and renames the result to `path`: readers see the former content or
// all of the new one, which is on the disk when this returns. A new file is its owner's alone; one
// that was there keeps its permissions.
Result<void> replace_file(const std::string& path, std::string_view bytes);
// Whether replace_file() could make a file at `path`. Leaves nothing behind.
Result<void> check_replaceable(const std::string& path);

}  // namespace kvasir
