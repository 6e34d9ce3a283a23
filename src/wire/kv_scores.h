// The scoring call of a KV-cache manager: POST /api/v1/score.
//
//   {"model": "m", "prompt": "...", "prompt_blocks": [], "candidate_pods": ["a", "b"]}
//   {"scores": {"a": {"cache_hit_rate": 0.66, ...}, ...}}, or flat: {"a": 0.66, ...}
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/request/request_peek.h"

namespace kvasir {

// `prompt`: as RequestPeek has it, of that kind. What is no text goes as it is, under "messages" or
// "prompt".
std::string write_score_request(std::string_view model, PromptKind kind, std::string_view prompt,
                                std::span<const std::string_view> pods);

struct PodScore {
  std::string pod;
  double hit_rate = 0;  // 0 to 1
};
// Entries that are no score are left out.
Result<std::vector<PodScore>> read_score_answer(std::string_view body);

}  // namespace kvasir
