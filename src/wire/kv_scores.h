// The scoring call of a KV-cache manager: POST /api/v1/score. Both sides of it.
//
//   {"model": "m", "prompt": "...", "prompt_blocks": [], "candidate_pods": ["a", "b"]}
//   {"scores": {"a": {"cache_hit_rate": 0.66, ...}, ...}}, or flat: {"a": 0.66, ...}
#pragma once

#include <cstdint>
#include <optional>
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

// What a manager is asked about.
struct ScoreQuery {
  // A block by its engine's name: an integer, or a digest as text ("sha256:...").
  struct Block {
    std::string text;
    uint64_t name = 0;
  };
  std::string model;
  std::string lora;  // the adapter; empty: `model` says it, if it is one
  std::string cache_salt;
  std::optional<std::string> prompt;               // a text
  std::optional<std::vector<uint32_t>> token_ids;  // "token_ids", or "prompt" as a list of them
  bool conversation = false;                       // "messages"
  bool other_prompt = false;                       // a prompt that is neither, or null
  std::vector<Block> blocks;                       // "prompt_blocks", in the order of the prompt
  std::optional<std::vector<std::string>> pods;    // "candidate_pods"; each once; absent: all

  // Whether there is a prompt to score, in whatever form.
  bool has_prompt() const {
    return !blocks.empty() || prompt || conversation || other_prompt ||
           (token_ids && !token_ids->empty());
  }
};
struct ScoreQueryLimits {
  size_t tokens_max = 16 * 1024 * 1024;
  size_t blocks_max = 1024 * 1024;
  size_t pods_max = 4096;
};
// The error says what is wrong, for the client (400). A field that there is not
// is an error, too, for it was meant to change the answer; null is absent.
Result<ScoreQuery> read_score_query(std::string_view body, const ScoreQueryLimits& limits = {});

}  // namespace kvasir
