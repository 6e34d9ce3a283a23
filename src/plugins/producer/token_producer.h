// token-producer (deprecated name: tokenizer): how many tokens the prompt has.
//
// Formula: an estimate, one token for each four bytes; prompts that came as token ids are counted.
// Inputs: none: Request::prompt_tokens holds that number before any plugin runs.
// Parameters: modelName, estimate, and vllm and udsTokenizerConfig, which ask another process for the
//   tokens, are accepted and without effect; that is told at start.
//
//   - type: token-producer
//     parameters: {estimate: {}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType token_producer_plugin();
PluginType tokenizer_plugin();

}  // namespace kvasir
