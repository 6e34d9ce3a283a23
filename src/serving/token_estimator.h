// Prompt lengths in tokens before anybody has tokenized them: four bytes a token, corrected by the counts that
// answers report (usage.prompt_tokens). Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvasir {

class TokenEstimator {
 public:
  uint32_t estimate(size_t prompt_bytes) const;
  // An answer reported `tokens` for a prompt of `prompt_bytes`. Short prompts teach nothing: chat templates
  // and quotes weigh too much in them.
  void learn(size_t prompt_bytes, uint32_t tokens);

 private:
  std::atomic<double> bytes_per_token_{4.0};
};

}  // namespace kvasir
