#include "prompts.h"

#include <algorithm>
#include <string>

#include "base/random.h"
#include "hashing/prompt_blocks.h"

namespace kvasir {
namespace {

uint32_t word_at(uint64_t hash_id, uint32_t position) {
  return static_cast<uint32_t>(mix64(mix64(hash_id) ^ position) % kWords);
}

SimulatedPrompt make_prompt(const WorkloadRow& row, std::string& text) {
  SimulatedPrompt prompt;
  prompt.tokens.reserve(row.input_tokens);
  text.clear();
  for (uint32_t i = 0; i < row.input_tokens; ++i) {
    const uint32_t word = word_at(row.hash_ids[i / kTokensPerHashId], i % kTokensPerHashId);
    prompt.tokens.push_back(kFirstSpacedWord + word);
    text.append(spaced_word(word));
  }
  hash_prompt_blocks(text, prompt_salt("simulated", ""), kPromptBytesPerBlock, prompt.blocks);
  prompt.view = {{PromptUnit::kBytes, kPromptBytesPerBlock}, prompt.blocks};
  return prompt;
}

}  // namespace

std::vector<SimulatedPrompt> make_prompts(const SimulatedWorkload& workload) {
  std::vector<SimulatedPrompt> prompts;
  prompts.reserve(workload.size());
  std::string text;
  for (const WorkloadRow& row : workload) prompts.push_back(make_prompt(row, text));
  return prompts;
}

}  // namespace kvasir
