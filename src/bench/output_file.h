// Files that a run writes its results to, looked at before the run: it may take an hour.
#pragma once

#include <string>

#include "base/result.h"

namespace kvasir {

// Whether results can be written to `path`: a regular file, one that can be made, or a device
// (/dev/null, /dev/stdout whatever that leads to). Never waits, as opening a FIFO would; leaves
// what the file holds, and makes none. The error names the path.
Result<void> check_output_file(const std::string& path);

}  // namespace kvasir
