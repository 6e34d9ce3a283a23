// What the scheduler knows of one inference request.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/block_hash.h"

namespace kvasir {

// Names one request for the life of the process; 0 is no request.
using RequestId = uint64_t;

struct Request {
  RequestId id = 0;
  std::string_view model;
  // Prompt length in tokens: exact when the prompt came as ids, else estimated.
  uint32_t prompt_tokens = 0;
  // Length of the prompt's bytes that `blocks` were hashed from; 0 when unknown.
  uint64_t prompt_bytes = 0;
  // Chained hashes of the prompt's full blocks, first block first. Empty when the policy needs none.
  std::span<const BlockHash> blocks;
  // Whether the first token will be seen (a streamed answer) or only the end.
  bool first_token_visible = false;
};

}  // namespace kvasir
