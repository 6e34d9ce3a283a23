// Where the rows of a replay come from: a file, or the generator when none is named.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/mooncake_trace.h"

namespace kvasir {

struct TraceFile {
  std::string name;  // for reports and errors
  std::string hash;  // "xxh64:..." of the bytes
  // A text has the length and the blocks of its tokens, a chat those of the simulated worker's
  // prompt for it: 0 and none when that worker would refuse it, as it does images.
  std::vector<TraceRow> rows;
  std::vector<std::string> remarks;  // what was not taken as it stands there
};

// Empty path: the rows of generate_trace() with its defaults, those of
// examples/conversation_small.jsonl.
Result<TraceFile> load_trace(const std::string& path, uint32_t block_tokens = kMooncakeBlockTokens);

}  // namespace kvasir
