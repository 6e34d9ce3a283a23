// One choice of an answer while it is made: its text, and when it ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokens/vocabulary.h"
#include "vllm/answer_parts.h"
#include "vllm/sampling_fields.h"

namespace kvasir {

// What ends an answer before its length does, and what it may consist of. Shared by the choices of
// a request.
struct StopRules {
  explicit StopRules(const SamplingFields& sampling);

  std::vector<std::string> stop;
  std::vector<TokenId> stop_tokens;
  std::vector<TokenId> allowed;  // empty: any
  size_t longest_stop = 0;
  uint64_t min_tokens = 0;
  bool include_stop = false;
  bool ignore_end_of_sequence = false;
};

class AnswerChoice {
 public:
  // What one token adds.
  struct Step {
    TokenId token = 0;
    std::string_view text;  // may be shown now; valid until the next add()
    std::optional<Finish> finish;
  };

  // `rules` must outlive the choice.
  explicit AnswerChoice(const StopRules& rules) : rules_(&rules) {}

  // Takes the engine's next token. `at_limit`: the last one that the length allows.
  Step add(TokenId token, bool at_limit);

  // Takes tokens as they are, whatever the rules allow: the answer is planned.
  void keep_tokens() { keeps_tokens_ = true; }

  uint32_t tokens() const { return tokens_; }

 private:
  std::optional<Finish> finish_by_token(TokenId token) const;
  std::optional<Finish> finish_by_text();
  std::string_view showable(bool finished);

  const StopRules* rules_;
  uint32_t tokens_ = 0;
  bool keeps_tokens_ = false;
  // The end of the text: what was shown of it and may still be part of a stop string, and what is
  // not shown yet.
  std::string tail_;
  size_t shown_ = 0;  // bytes of tail_ that were shown
  size_t fresh_ = 0;  // where the newest token's text begins in tail_
};

}  // namespace kvasir
