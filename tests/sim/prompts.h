// The prompts of a workload: made text of the simulated vocabulary that shares what the rows'
// hash ids share.
#pragma once

#include <vector>

#include "model/prompt_view.h"
#include "tokens/vocabulary.h"
#include "workload.h"

namespace kvasir {

struct SimulatedPrompt {
  std::vector<TokenId> tokens;
  std::vector<BlockHash> blocks;  // of its text, as the gateway hashes it
  PromptView view;                // of them
};

// One for each row; their views stay good when the vector is moved. Making them costs more than a
// simulation: keep them for all runs of a workload.
std::vector<SimulatedPrompt> make_prompts(const SimulatedWorkload& workload);

}  // namespace kvasir
